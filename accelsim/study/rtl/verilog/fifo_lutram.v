// Ready/valid FIFO of D words of W bits in distributed RAM, which is read without a clock; two addresses and a count.
module fifo_lutram #(
    parameter W = 8,
    parameter D = 16
) (
    input  wire         clk,
    input  wire         rst,
    input  wire         in_valid,
    output wire         in_ready,
    input  wire [W-1:0] in_data,
    output wire         out_valid,
    input  wire         out_ready,
    output wire [W-1:0] out_data
);
    localparam COUNT_BITS = $clog2(D + 1);
    localparam ADDRESS_BITS = D > 1 ? $clog2(D) : 1;

    (* ram_style = "distributed" *) reg [W-1:0] memory [0:D-1];
    reg [ADDRESS_BITS-1:0] write_address, read_address;
    reg [COUNT_BITS-1:0] count;
    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;

    assign in_ready = count != D;
    assign out_valid = count != 0;
    assign out_data = memory[read_address];

    always @(posedge clk) begin
        if (push) memory[write_address] <= in_data;
        if (rst) begin
            write_address <= 0;
            read_address <= 0;
            count <= 0;
        end else begin
            if (push) write_address <= write_address == D - 1 ? 0 : write_address + 1'b1;
            if (pop) read_address <= read_address == D - 1 ? 0 : read_address + 1'b1;
            if (push && !pop) count <= count + 1'b1;
            else if (pop && !push) count <= count - 1'b1;
        end
    end
endmodule

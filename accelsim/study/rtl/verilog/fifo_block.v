// Ready/valid FIFO of D words of W bits in a memory that is read at the clock: the oldest word is fetched ahead into the
// memory's output register. RAM_STYLE "auto" leaves the choice of the memory to the tool.
module fifo_block #(
    parameter W = 8,
    parameter D = 512,
    parameter RAM_STYLE = "block"
) (
    input  wire         clk,
    input  wire         rst,
    input  wire         in_valid,
    output wire         in_ready,
    input  wire [W-1:0] in_data,
    output reg          out_valid,
    input  wire         out_ready,
    output reg  [W-1:0] out_data
);
    localparam COUNT_BITS = $clog2(D + 1);
    localparam ADDRESS_BITS = D > 1 ? $clog2(D) : 1;

    (* ram_style = RAM_STYLE *) reg [W-1:0] memory [0:D-1];
    reg [ADDRESS_BITS-1:0] write_address, read_address;
    reg [COUNT_BITS-1:0] count;  // words in the memory, the fetched one not among them
    wire push = in_valid && in_ready;
    wire fetch = count != 0 && (!out_valid || out_ready);

    assign in_ready = count != D;

    always @(posedge clk) begin
        if (push) memory[write_address] <= in_data;
        if (fetch) out_data <= memory[read_address];
    end

    always @(posedge clk)
        if (rst) begin
            write_address <= 0;
            read_address <= 0;
            count <= 0;
            out_valid <= 0;
        end else begin
            if (push) write_address <= write_address == D - 1 ? 0 : write_address + 1'b1;
            if (fetch) read_address <= read_address == D - 1 ? 0 : read_address + 1'b1;
            if (push && !fetch) count <= count + 1'b1;
            else if (fetch && !push) count <= count - 1'b1;
            if (fetch) out_valid <= 1;
            else if (out_ready) out_valid <= 0;
        end
endmodule

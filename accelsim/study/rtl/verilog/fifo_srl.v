// Ready/valid FIFO of D words of W bits: for each bit a shift register with a chosen tap, and a count of the words inside.
module fifo_srl #(
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
    localparam TAP_BITS = D > 1 ? $clog2(D) : 1;

    reg [COUNT_BITS-1:0] count;
    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;

    assign in_ready = count != D;
    assign out_valid = count != 0;

    always @(posedge clk)
        if (rst) count <= 0;
        else if (push && !pop) count <= count + 1'b1;
        else if (pop && !push) count <= count - 1'b1;

    // The oldest word stands behind all others.
    wire [COUNT_BITS-1:0] last = count - 1'b1;
    wire [TAP_BITS-1:0] tap = last[TAP_BITS-1:0];

    genvar b;
    generate
        for (b = 0; b < W; b = b + 1) begin : bit_line
            reg [D-1:0] line;
            if (D > 1) begin : many
                always @(posedge clk) if (push) line <= {line[D-2:0], in_data[b]};
            end else begin : one
                always @(posedge clk) if (push) line <= in_data[b];
            end
            assign out_data[b] = line[tap];
        end
    endgenerate
endmodule

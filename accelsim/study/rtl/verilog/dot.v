// Sum of N signed products of A by B bits at full precision, into a register. Operand i of a is a[i*A +: A].
// The products stand here, not in a `products`: with one module more Yosys adds them up in other ways (8 % of the LUTs).
module dot #(
    parameter N = 8,
    parameter A = 8,
    parameter B = 8
) (
    input  wire                             clk,
    input  wire        [N*A-1:0]            a,
    input  wire        [N*B-1:0]            b,
    output reg  signed [A+B+$clog2(N)-1:0]  sum
);
    localparam SUM_BITS = A + B + $clog2(N);
    wire [N*SUM_BITS-1:0] words;
    wire signed [SUM_BITS-1:0] total;

    genvar i;
    generate
        for (i = 0; i < N; i = i + 1) begin : product
            wire signed [SUM_BITS-1:0] full = $signed(a[i*A +: A]) * $signed(b[i*B +: B]);
            assign words[i*SUM_BITS +: SUM_BITS] = full;
        end
    endgenerate
    pairwise #(.N(N), .W(SUM_BITS)) tree (.words(words), .sum(total));
    always @(posedge clk) sum <= total;
endmodule

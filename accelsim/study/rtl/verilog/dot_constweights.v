// As dot, with weights that are constants: weight i is WEIGHTS[i*B +: B].
module dot_constweights #(
    parameter N = 8,
    parameter A = 8,
    parameter B = 8,
    parameter [N*B-1:0] WEIGHTS = 0
) (
    input  wire                             clk,
    input  wire        [N*A-1:0]            a,
    output wire signed [A+B+$clog2(N)-1:0]  sum
);
    dot #(.N(N), .A(A), .B(B)) products (.clk(clk), .a(a), .b(WEIGHTS), .sum(sum));
endmodule

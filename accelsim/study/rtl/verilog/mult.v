// Signed product of A by B bits, into a register.
module mult #(
    parameter A = 8,
    parameter B = 8
) (
    input  wire                  clk,
    input  wire signed [A-1:0]   a,
    input  wire signed [B-1:0]   b,
    output reg  signed [A+B-1:0] product
);
    always @(posedge clk) product <= a * b;
endmodule

// Signed multiply-accumulate: `clear` starts a new sum with this product. The sum has G bits more than a product.
module mac #(
    parameter A = 8,
    parameter B = 8,
    parameter G = 8
) (
    input  wire                    clk,
    input  wire                    clear,
    input  wire signed [A-1:0]     a,
    input  wire signed [B-1:0]     b,
    output reg  signed [A+B+G-1:0] sum
);
    always @(posedge clk)
        if (clear) sum <= a * b;
        else sum <= sum + a * b;
endmodule

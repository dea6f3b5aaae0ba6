// Where a skip joins: for each of C channels the saturating sum of two signed words of B bits, into a register while
// `enable`. RELU clamps at zero.
module skipadd #(
    parameter C = 16,
    parameter B = 8,
    parameter RELU = 1
) (
    input  wire           clk,
    input  wire           enable,
    input  wire [C*B-1:0] a,
    input  wire [C*B-1:0] b,
    output reg  [C*B-1:0] sum
);
    genvar c;
    generate
        for (c = 0; c < C; c = c + 1) begin : channel
            wire signed [B:0] full = $signed(a[c*B +: B]) + $signed(b[c*B +: B]);
            wire overflow = full[B] != full[B-1];
            wire [B-1:0] largest = {full[B], {B-1{!full[B]}}};  // of the sum's sign
            wire [B-1:0] clamped = RELU && full[B] ? 0 : overflow ? largest : full[B-1:0];
            always @(posedge clk) if (enable) sum[c*B +: B] <= clamped;
        end
    endgenerate
endmodule

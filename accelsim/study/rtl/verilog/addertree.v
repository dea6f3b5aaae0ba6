// Sum of N signed words of W bits at full precision, into a register. Word i is words[i*W +: W].
module addertree #(
    parameter N = 8,
    parameter W = 8
) (
    input  wire                           clk,
    input  wire        [N*W-1:0]          words,
    output reg  signed [W+$clog2(N)-1:0]  sum
);
    integer i;
    reg signed [W+$clog2(N)-1:0] total;

    always @* begin
        total = 0;
        for (i = 0; i < N; i = i + 1) total = total + $signed(words[i*W +: W]);
    end
    always @(posedge clk) sum <= total;
endmodule

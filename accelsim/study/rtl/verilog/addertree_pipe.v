// Sum of N signed words of W bits at full precision, with a register behind every level of the tree: a level adds pairs,
// and an odd word waits. Word i is words[i*W +: W].
module addertree_pipe #(
    parameter N = 8,
    parameter W = 8
) (
    input  wire                           clk,
    input  wire        [N*W-1:0]          words,
    output wire signed [W+$clog2(N)-1:0]  sum
);
    localparam SUM_BITS = W + $clog2(N);
    localparam PAIRS = N / 2;
    localparam LEFT = (N + 1) / 2;

    generate
        if (N == 1) begin : leaf
            assign sum = words;
        end else begin : level
            reg [LEFT*(W+1)-1:0] sums;
            integer i;
            always @(posedge clk) begin
                for (i = 0; i < PAIRS; i = i + 1)
                    sums[i*(W+1) +: W+1] <= $signed(words[2*i*W +: W]) + $signed(words[(2*i+1)*W +: W]);
                if (N % 2) sums[PAIRS*(W+1) +: W+1] <= $signed(words[(N-1)*W +: W]);
            end
            addertree_pipe #(.N(LEFT), .W(W + 1)) rest (.clk(clk), .words(sums), .sum(sum));
        end
    endgenerate
endmodule

// Sum of N signed products of A by B bits at full precision, by a tree. No register. Operand i of a is a[i*A +: A].
module products #(
    parameter N = 8,
    parameter A = 8,
    parameter B = 8
) (
    input  wire        [N*A-1:0]            a,
    input  wire        [N*B-1:0]            b,
    output wire signed [A+B+$clog2(N)-1:0]  sum
);
    localparam SUM_BITS = A + B + $clog2(N);
    wire [N*SUM_BITS-1:0] words;

    genvar i;
    generate
        for (i = 0; i < N; i = i + 1) begin : product
            wire signed [SUM_BITS-1:0] full = $signed(a[i*A +: A]) * $signed(b[i*B +: B]);
            assign words[i*SUM_BITS +: SUM_BITS] = full;
        end
    endgenerate
    pairwise #(.N(N), .W(SUM_BITS)) tree (.words(words), .sum(sum));
endmodule

// Sum of N signed words of W bits, which is known to fit W bits: pairs first, an odd word waits.
module pairwise #(
    parameter N = 8,
    parameter W = 8
) (
    input  wire        [N*W-1:0] words,
    output wire signed [W-1:0]   sum
);
    localparam PAIRS = N / 2;
    localparam LEFT = (N + 1) / 2;

    genvar i;
    generate
        if (N == 1) begin : leaf
            assign sum = words;
        end else begin : level
            wire [LEFT*W-1:0] sums;
            for (i = 0; i < PAIRS; i = i + 1) begin : pair
                assign sums[i*W +: W] = $signed(words[2*i*W +: W]) + $signed(words[(2*i+1)*W +: W]);
            end
            if (N % 2) begin : odd
                assign sums[PAIRS*W +: W] = words[(N-1)*W +: W];
            end
            pairwise #(.N(LEFT), .W(W)) rest (.words(sums), .sum(sum));
        end
    endgenerate
endmodule

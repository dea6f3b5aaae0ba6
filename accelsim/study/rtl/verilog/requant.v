// C channels of requantise, into a register.
module requant #(
    parameter C = 1,
    parameter I = 24,
    parameter O = 8,
    parameter S = 10,
    parameter RELU = 0
) (
    input  wire           clk,
    input  wire [C*I-1:0] sums,
    input  wire [C*I-1:0] biases,
    output reg  [C*O-1:0] values
);
    wire [C*O-1:0] next;

    genvar c;
    generate
        for (c = 0; c < C; c = c + 1) begin : channel
            requantise #(.I(I), .O(O), .S(S), .RELU(RELU)) one (
                .sum(sums[c*I +: I]), .bias(biases[c*I +: I]), .value(next[c*O +: O])
            );
        end
    endgenerate
    always @(posedge clk) values <= next;
endmodule

// A 3 x 3 convolution of a stream of pixels of C channels, zero padding, C channels out, C x C multipliers: one tap a
// cycle. Weight of tap t, output o, input i: WEIGHTS[((t*C + o)*C + i)*B +: B]. Sums are exact, then requantised.
//
// It steps through the lines of the image and one column and one line of zeros behind them. A step takes one cycle, and
// ten more (nine taps, and the output) where a window is complete: its centre lies one line and one pixel behind.
module conv3x3 #(
    parameter W = 32,
    parameter H = 32,
    parameter C = 4,
    parameter B = 4,
    parameter S = 4,
    parameter RELU = 1,
    parameter [9*C*C*B-1:0] WEIGHTS = 0
) (
    input  wire           clk,
    input  wire           rst,
    input  wire           in_valid,
    output wire           in_ready,
    input  wire [C*B-1:0] in_data,
    output wire           out_valid,
    input  wire           out_ready,
    output wire [C*B-1:0] out_data
);
    localparam SUM_BITS = 2 * B + $clog2(9 * C);
    localparam [1:0] STEP = 0, TAPS = 1, OUTPUT = 2;

    reg [1:0] state;
    reg [3:0] tap;
    reg [$clog2(W+1)-1:0] x;
    reg [$clog2(H+1)-1:0] y;
    reg at_top, at_left;  // whether the window's first row, its first column, lies outside of the image

    wire is_pixel = x != W && y != H;
    wire step = state == STEP && (in_valid || !is_pixel);
    assign in_ready = state == STEP && is_pixel;
    assign out_valid = state == OUTPUT;

    always @(posedge clk)
        if (rst) begin
            state <= STEP;
            x <= 0;
            y <= 0;
        end else if (step) begin
            if (x != 0 && y != 0) state <= TAPS;
            at_left <= x == 1;
            at_top <= y == 1;
            x <= x == W ? 0 : x + 1'b1;
            if (x == W) y <= y == H ? 0 : y + 1'b1;
        end else if (state == TAPS && tap == 8) state <= OUTPUT;
        else if (out_valid && out_ready) state <= STEP;

    wire [3:0] next_tap = state == TAPS ? tap + 1'b1 : 0;
    always @(posedge clk) tap <= next_tap;

    wire [9*C*B-1:0] window;
    linebuffer #(.WD(W + 1), .CB(C * B), .STYLE("auto")) lines (
        .clk(clk), .rst(rst), .enable(step), .in_data(is_pixel ? in_data : {C*B{1'b0}}), .window(window)
    );
    wire outside = at_top && tap < 3 || at_left && (tap == 0 || tap == 3 || tap == 6);
    wire [C*B-1:0] pixel = outside ? 0 : window[tap*C*B +: C*B];

    reg [C*C*B-1:0] weights;
    always @(posedge clk) weights <= WEIGHTS[next_tap*C*C*B +: C*C*B];

    genvar o;
    generate
        for (o = 0; o < C; o = o + 1) begin : channel
            wire signed [2*B+$clog2(C)-1:0] total;
            reg signed [SUM_BITS-1:0] sum;
            products #(.N(C), .A(B), .B(B)) tree (.a(pixel), .b(weights[o*C*B +: C*B]), .sum(total));
            always @(posedge clk) if (state == TAPS) sum <= tap == 0 ? total : sum + total;
            requantise #(.I(SUM_BITS), .O(B), .S(S), .RELU(RELU)) rounded (
                .sum(sum), .bias({SUM_BITS{1'b0}}), .value(out_data[o*B +: B])
            );
        end
    endgenerate
endmodule

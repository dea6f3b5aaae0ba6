// A streaming residual block of two 3 x 3 convolutions, pixels of C channels of B bits, images of H lines of W pixels.
// MODE 0: no skip. MODE 1: one skip around both. MODE 2: one around each.
// FD and FSTYLE: depth (pixels) and memory of each skip FIFO. BETWEEN: depth of the FIFO between the convolutions.
module resblock #(
    parameter MODE = 1,
    parameter W = 32,
    parameter H = 32,
    parameter C = 4,
    parameter B = 4,
    parameter S = 4,
    parameter FD = 68,
    parameter FSTYLE = "rule",
    parameter BETWEEN = 2,
    parameter [9*C*C*B-1:0] WEIGHTS_1 = 0,
    parameter [9*C*C*B-1:0] WEIGHTS_2 = 0
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
    localparam WORD = C * B;
    wire half_valid, half_ready, next_valid, next_ready;
    wire [WORD-1:0] half_data, next_data;

    generate
        if (MODE == 1) begin : long_skip
            wire main_valid, main_ready, skip_valid, skip_ready, held_valid, held_ready, sum_valid, sum_ready;
            wire [WORD-1:0] main_data, skip_data, held_data, sum_data;
            duplicator #(.W(WORD)) copies (
                .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
                .main_valid(main_valid), .main_ready(main_ready), .main_data(main_data),
                .skip_valid(skip_valid), .skip_ready(skip_ready), .skip_data(skip_data)
            );
            fifo #(.W(WORD), .D(FD), .STYLE(FSTYLE)) skip (
                .clk(clk), .rst(rst), .in_valid(skip_valid), .in_ready(skip_ready), .in_data(skip_data),
                .out_valid(held_valid), .out_ready(held_ready), .out_data(held_data)
            );
            conv3x3 #(.W(W), .H(H), .C(C), .B(B), .S(S), .RELU(1), .WEIGHTS(WEIGHTS_1)) first (
                .clk(clk), .rst(rst), .in_valid(main_valid), .in_ready(main_ready), .in_data(main_data),
                .out_valid(half_valid), .out_ready(half_ready), .out_data(half_data)
            );
            conv3x3 #(.W(W), .H(H), .C(C), .B(B), .S(S), .RELU(0), .WEIGHTS(WEIGHTS_2)) second (
                .clk(clk), .rst(rst), .in_valid(next_valid), .in_ready(next_ready), .in_data(next_data),
                .out_valid(sum_valid), .out_ready(sum_ready), .out_data(sum_data)
            );
            joiner #(.C(C), .B(B), .RELU(1)) joined (
                .clk(clk), .rst(rst), .main_valid(sum_valid), .main_ready(sum_ready), .main_data(sum_data),
                .skip_valid(held_valid), .skip_ready(held_ready), .skip_data(held_data),
                .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
            );
        end else if (MODE == 2) begin : short_skips
            skipped_conv3x3 #(
                .W(W), .H(H), .C(C), .B(B), .S(S), .FD(FD), .FSTYLE(FSTYLE), .WEIGHTS(WEIGHTS_1)
            ) first (
                .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
                .out_valid(half_valid), .out_ready(half_ready), .out_data(half_data)
            );
            skipped_conv3x3 #(
                .W(W), .H(H), .C(C), .B(B), .S(S), .FD(FD), .FSTYLE(FSTYLE), .WEIGHTS(WEIGHTS_2)
            ) second (
                .clk(clk), .rst(rst), .in_valid(next_valid), .in_ready(next_ready), .in_data(next_data),
                .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
            );
        end else begin : no_skip
            conv3x3 #(.W(W), .H(H), .C(C), .B(B), .S(S), .RELU(1), .WEIGHTS(WEIGHTS_1)) first (
                .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
                .out_valid(half_valid), .out_ready(half_ready), .out_data(half_data)
            );
            conv3x3 #(.W(W), .H(H), .C(C), .B(B), .S(S), .RELU(1), .WEIGHTS(WEIGHTS_2)) second (
                .clk(clk), .rst(rst), .in_valid(next_valid), .in_ready(next_ready), .in_data(next_data),
                .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
            );
        end
    endgenerate

    fifo #(.W(WORD), .D(BETWEEN), .STYLE("srl")) between (
        .clk(clk), .rst(rst), .in_valid(half_valid), .in_ready(half_ready), .in_data(half_data),
        .out_valid(next_valid), .out_ready(next_ready), .out_data(next_data)
    );
endmodule

// A convolution with a skip around it.
module skipped_conv3x3 #(
    parameter W = 32,
    parameter H = 32,
    parameter C = 4,
    parameter B = 4,
    parameter S = 4,
    parameter FD = 34,
    parameter FSTYLE = "rule",
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
    localparam WORD = C * B;
    wire main_valid, main_ready, skip_valid, skip_ready, held_valid, held_ready, sum_valid, sum_ready;
    wire [WORD-1:0] main_data, skip_data, held_data, sum_data;

    duplicator #(.W(WORD)) copies (
        .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
        .main_valid(main_valid), .main_ready(main_ready), .main_data(main_data),
        .skip_valid(skip_valid), .skip_ready(skip_ready), .skip_data(skip_data)
    );
    fifo #(.W(WORD), .D(FD), .STYLE(FSTYLE)) skip (
        .clk(clk), .rst(rst), .in_valid(skip_valid), .in_ready(skip_ready), .in_data(skip_data),
        .out_valid(held_valid), .out_ready(held_ready), .out_data(held_data)
    );
    conv3x3 #(.W(W), .H(H), .C(C), .B(B), .S(S), .RELU(0), .WEIGHTS(WEIGHTS)) convolution (
        .clk(clk), .rst(rst), .in_valid(main_valid), .in_ready(main_ready), .in_data(main_data),
        .out_valid(sum_valid), .out_ready(sum_ready), .out_data(sum_data)
    );
    joiner #(.C(C), .B(B), .RELU(1)) joined (
        .clk(clk), .rst(rst), .main_valid(sum_valid), .main_ready(sum_ready), .main_data(sum_data),
        .skip_valid(held_valid), .skip_ready(held_ready), .skip_data(held_data),
        .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
    );
endmodule

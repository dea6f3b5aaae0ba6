// Two streams into one: the saturating sum of a word of each (skipadd), when both are there.
module joiner #(
    parameter C = 4,
    parameter B = 4,
    parameter RELU = 1
) (
    input  wire           clk,
    input  wire           rst,
    input  wire           main_valid,
    output wire           main_ready,
    input  wire [C*B-1:0] main_data,
    input  wire           skip_valid,
    output wire           skip_ready,
    input  wire [C*B-1:0] skip_data,
    output reg            out_valid,
    input  wire           out_ready,
    output wire [C*B-1:0] out_data
);
    wire add = main_valid && skip_valid && (!out_valid || out_ready);
    assign main_ready = add;
    assign skip_ready = add;

    always @(posedge clk)
        if (rst) out_valid <= 0;
        else if (add) out_valid <= 1;
        else if (out_ready) out_valid <= 0;

    skipadd #(.C(C), .B(B), .RELU(RELU)) adder (
        .clk(clk), .enable(add), .a(main_data), .b(skip_data), .sum(out_data)
    );
endmodule

// One stream into two: a word goes to each as soon as that one takes it, and the next word comes when both have.
module duplicator #(
    parameter W = 8
) (
    input  wire         clk,
    input  wire         rst,
    input  wire         in_valid,
    output wire         in_ready,
    input  wire [W-1:0] in_data,
    output wire         main_valid,
    input  wire         main_ready,
    output wire [W-1:0] main_data,
    output wire         skip_valid,
    input  wire         skip_ready,
    output wire [W-1:0] skip_data
);
    reg main_done, skip_done;

    assign main_valid = in_valid && !main_done;
    assign skip_valid = in_valid && !skip_done;
    assign main_data = in_data;
    assign skip_data = in_data;
    assign in_ready = (main_done || main_ready) && (skip_done || skip_ready);

    always @(posedge clk)
        if (rst || in_valid && in_ready) begin
            main_done <= 0;
            skip_done <= 0;
        end else begin
            if (main_valid && main_ready) main_done <= 1;
            if (skip_valid && skip_ready) skip_done <= 1;
        end
endmodule

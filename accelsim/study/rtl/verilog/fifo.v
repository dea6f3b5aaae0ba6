// A FIFO by the name of its style; "rule": shift registers up to 1024 bits, else block RAM.
module fifo #(
    parameter W = 8,
    parameter D = 16,
    parameter STYLE = "rule"
) (
    input  wire         clk,
    input  wire         rst,
    input  wire         in_valid,
    output wire         in_ready,
    input  wire [W-1:0] in_data,
    output wire         out_valid,
    input  wire         out_ready,
    output wire [W-1:0] out_data
);
    generate
        if (STYLE == "srl" || STYLE == "rule" && W * D <= 1024) begin : shifting
            fifo_srl #(.W(W), .D(D)) words (
                .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
                .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
            );
        end else if (STYLE == "lutram") begin : distributed
            fifo_lutram #(.W(W), .D(D)) words (
                .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
                .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
            );
        end else begin : clocked
            fifo_block #(.W(W), .D(D), .RAM_STYLE(STYLE == "auto" ? "auto" : "block")) words (
                .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
                .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
            );
        end
    endgenerate
endmodule

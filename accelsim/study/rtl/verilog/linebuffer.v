// Window of 3 x 3 pixels of CB bits over a stream of lines of WD pixels, which moves on by a pixel while `enable`.
// Tap 3*row + column of the window is window[tap*CB +: CB]; row 2, column 2 is the newest pixel.
// STYLE says what holds the two lines: "srl" shift registers, "lutram" memories that are read without a clock, "block"
// and "auto" memories that are read at the clock.
module linebuffer #(
    parameter WD = 32,
    parameter CB = 32,
    parameter STYLE = "auto"
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            enable,
    input  wire [CB-1:0]   in_data,
    output wire [9*CB-1:0] window
);
    wire [CB-1:0] newest [0:2];  // of each row, as the window has it
    wire [CB-1:0] above [0:1];   // what enters rows 0 and 1 next

    localparam ADDRESS_BITS = $clog2(WD);
    reg [ADDRESS_BITS-1:0] write_address, read_address;  // the pixel that leaves next is read ahead
    always @(posedge clk)
        if (rst) begin
            write_address <= 0;
            read_address <= 1;
        end else if (enable) begin
            write_address <= write_address == WD - 1 ? 0 : write_address + 1'b1;
            read_address <= read_address == WD - 1 ? 0 : read_address + 1'b1;
        end

    line_memory #(.WD(WD), .CB(CB), .STYLE(STYLE)) line_1 (
        .clk(clk), .enable(enable), .write_address(write_address), .read_address(read_address),
        .entering(in_data), .entered(newest[2]), .leaving(above[1])
    );
    line_memory #(.WD(WD), .CB(CB), .STYLE(STYLE)) line_0 (
        .clk(clk), .enable(enable), .write_address(write_address), .read_address(read_address),
        .entering(above[1]), .entered(newest[1]), .leaving(above[0])
    );

    genvar row;
    generate
        for (row = 0; row < 3; row = row + 1) begin : window_row
            reg [CB-1:0] middle, oldest;
            if (row < 2 && STYLE == "srl") begin : from_shift_register
                assign newest[row] = above[row];
            end else begin : registered
                reg [CB-1:0] pixel;
                always @(posedge clk) if (enable) pixel <= row < 2 ? above[row % 2] : in_data;
                assign newest[row] = pixel;
            end
            always @(posedge clk)
                if (enable) begin
                    middle <= newest[row];
                    oldest <= middle;
                end
            assign window[row*3*CB +: 3*CB] = {newest[row], middle, oldest};
        end
    endgenerate
endmodule

// One line. `leaving` is the pixel that entered WD steps before the one that enters now; with shift registers, WD steps
// before the one that has just `entered`.
module line_memory #(
    parameter WD = 32,
    parameter CB = 32,
    parameter STYLE = "auto"
) (
    input  wire                  clk,
    input  wire                  enable,
    input  wire [$clog2(WD)-1:0] write_address,
    input  wire [$clog2(WD)-1:0] read_address,
    input  wire [CB-1:0]         entering,
    input  wire [CB-1:0]         entered,
    output wire [CB-1:0]         leaving
);
    genvar b;

    generate
        if (STYLE == "srl") begin : shifting
            for (b = 0; b < CB; b = b + 1) begin : bit_line
                reg [WD-1:0] line;
                always @(posedge clk) if (enable) line <= {line[WD-2:0], entered[b]};
                assign leaving[b] = line[WD-1];
            end
        end else if (STYLE == "lutram") begin : distributed
            (* ram_style = "distributed" *) reg [CB-1:0] memory [0:WD-1];
            always @(posedge clk) if (enable) memory[write_address] <= entering;
            assign leaving = memory[write_address];
        end else begin : clocked
            (* ram_style = STYLE *) reg [CB-1:0] memory [0:WD-1];
            reg [CB-1:0] fetched;
            always @(posedge clk) begin
                if (enable) memory[write_address] <= entering;
                if (enable) fetched <= memory[read_address];
            end
            assign leaving = fetched;
        end
    endgenerate
endmodule

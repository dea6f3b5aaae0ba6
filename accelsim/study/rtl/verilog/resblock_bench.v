// Drives a resblock: pixels of pixels.hex in, values to values.hex out, then the cycle of the last output.
// In each cycle the source has a pixel unless a number below 100 is drawn below SOURCE_PAUSES, the sink likewise.
module resblock_bench;
    parameter H = 8;
    parameter W = 8;
    parameter WORD = 16;
    parameter IMAGES = 1;
    parameter FD = 16;
    parameter FSTYLE = "rule";
    parameter BETWEEN = 2;
    parameter SOURCE_PAUSES = 0;
    parameter SINK_PAUSES = 0;
    parameter IDLE_LIMIT = 1000;  // cycles without a word in or out, more than any stage ever takes: a deadlock
    localparam PIXELS = IMAGES * H * W;

    reg clk = 0;
    reg rst = 1;
    reg source_on = 0;
    reg sink_on = 0;
    reg [WORD-1:0] pixels [0:PIXELS-1];
    integer taken = 0, given = 0, cycle = 0, idle = 0, seed = 1, file;
    wire in_ready, out_valid;
    wire [WORD-1:0] out_data;
    wire in_valid = source_on && taken < PIXELS;

    resblock #(.H(H), .FD(FD), .FSTYLE(FSTYLE), .BETWEEN(BETWEEN)) block (
        .clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(pixels[taken % PIXELS]),
        .out_valid(out_valid), .out_ready(sink_on), .out_data(out_data)
    );

    always #1 clk = !clk;

    always @(negedge clk) begin
        // A source that has offered a word keeps it until it is taken.
        source_on <= in_valid && !in_ready || $unsigned($random(seed)) % 100 >= SOURCE_PAUSES;
        sink_on <= $unsigned($random(seed)) % 100 >= SINK_PAUSES;
    end

    always @(posedge clk)
        if (!rst) begin
            cycle <= cycle + 1;
            idle <= in_valid && in_ready || out_valid && sink_on ? 0 : idle + 1;
            if (in_valid && in_ready) taken <= taken + 1;
            if (out_valid && sink_on) begin
                $fdisplay(file, "%h", out_data);
                given <= given + 1;
            end
            if (given == PIXELS || idle == IDLE_LIMIT) begin
                $display("%s %0d", given == PIXELS ? "done" : "deadlock", cycle - 1);
                $finish;
            end
        end

    initial begin
        $readmemh("pixels.hex", pixels);
        file = $fopen("values.hex", "w");
        repeat (2) @(posedge clk);
        @(negedge clk) rst = 0;
    end
endmodule

// A signed sum of I bits and its bias, rounded to the nearest (halves up), shifted right by S and saturated to O bits.
// RELU clamps at zero. No register.
module requantise #(
    parameter I = 24,
    parameter O = 8,
    parameter S = 10,
    parameter RELU = 0
) (
    input  wire signed [I-1:0] sum,
    input  wire signed [I-1:0] bias,
    output wire        [O-1:0] value
);
    localparam signed [I+1:0] HALF = S > 0 ? (1 << S) >> 1 : 0;
    localparam signed [I+1:0] HIGH = (1 << (O - 1)) - 1;
    localparam signed [I+1:0] LOW = RELU ? 0 : -(1 << (O - 1));

    wire signed [I+1:0] rounded = sum + bias + HALF;  // two bits more: never overflows
    wire signed [I+1:0] shifted = rounded >>> S;
    wire signed [I+1:0] clamped = shifted > HIGH ? HIGH : shifted < LOW ? LOW : shifted;
    assign value = clamped[O-1:0];
endmodule

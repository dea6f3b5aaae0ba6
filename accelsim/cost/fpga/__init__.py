"""What circuits take of an FPGA: look-up tables, flip-flops, block RAM, UltraRAM and DSP slices."""

"""A network as a dataflow of stages on an FPGA: layers, folding, stages, and the task graph of their pixels."""

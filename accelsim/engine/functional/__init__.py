"""What a mapped model computes: its nodes in order, matrix work in the formats and the order of sums of its mapping.

Nothing is imported here: `run` needs the onnx package, which no other use of the engine does.
"""

"""What a mapped model computes: its ops in order, each on the unit and in the order of sums of its mapping.

A kind of hardware takes part through one function, found by `units.units_of`: from a mapped op to a
`units.MatrixUnit`, which holds a right operand and multiplies left operands with it, float32 in and out.
`digital` is the arrays of digital architectures. `program` says what is run, `run` runs it.

Nothing is imported here: `run` and what it needs load on first use.
"""

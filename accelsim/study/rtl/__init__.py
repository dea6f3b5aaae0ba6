"""Circuits in Verilog: what the models of `cost.fpga` predict, emitted, synthesised and simulated.

`circuits` knows them and their parameters, `emission` writes them, `synthesis` counts their cells with Yosys and
`truth` compares those with the model; `block` runs the residual block in Icarus Verilog, `expected` computes what it
must put out.
"""

from accelsim.study.rtl.circuits import CIRCUITS, Point, RtlCircuit, parsed_point, point
from accelsim.study.rtl.emission import verilog, verilog_of_estimate

__all__ = ["CIRCUITS", "Point", "RtlCircuit", "parsed_point", "point", "verilog", "verilog_of_estimate"]

"""Number formats and what hardware computes with them: quantised tensors, bit for bit."""

from accelsim.numerics.accumulators import ACCUMULATORS, accumulator_named
from accelsim.numerics.cast import cast, cast_codes
from accelsim.numerics.dot import dot, matmul
from accelsim.numerics.elements import Float, Integer, PowerOfTwo
from accelsim.numerics.formats import FORMATS, Format, format_named, format_of, shortest_name
from accelsim.numerics.libraries import library_format, library_values
from accelsim.numerics.quantisers import calibrate, quantiser_named
from accelsim.numerics.quantize import quantize
from accelsim.numerics.tensor import QuantizedTensor

__all__ = [
    "ACCUMULATORS",
    "FORMATS",
    "Float",
    "Format",
    "Integer",
    "PowerOfTwo",
    "QuantizedTensor",
    "accumulator_named",
    "calibrate",
    "cast",
    "cast_codes",
    "dot",
    "format_named",
    "format_of",
    "library_format",
    "library_values",
    "matmul",
    "quantiser_named",
    "quantize",
    "shortest_name",
]

"""Analog tiles: the non-ideal product of a crossbar, the devices in it, the wires of it (docs/analog.md)."""

from accelsim.numerics.analog.array import (
    ArrayProduct,
    Layout,
    ProgrammedArray,
    ReadArray,
    ReadScheme,
    full_range,
    program_array,
)
from accelsim.numerics.analog.cores import CellCore
from accelsim.numerics.analog.devices import (
    DEVICES,
    Device,
    IdealDevice,
    Pcm,
    RelaxingDevice,
    device_named,
)
from accelsim.numerics.analog.draws import Normals, NormalSource, RecordedNormals, Seed, Supplied, within
from accelsim.numerics.analog.fits import LogThenPolynomial, Polynomial, PowerLaw, Table
from accelsim.numerics.analog.mvm import Crossbar, Product
from accelsim.numerics.analog.parameters import Converter, CrossbarParameters
from accelsim.numerics.analog.predict import predicted_std
from accelsim.numerics.analog.presets import CROSSBARS, crossbar_named
from accelsim.numerics.analog.tile import PairNormals, ProgrammedWeights, Tile, program, program_tile
from accelsim.numerics.analog.wires import WireComparison, compare_wires, nodal_currents
from accelsim.numerics.analog.words import InputShares, WeightSlices

__all__ = [
    "CROSSBARS",
    "DEVICES",
    "ArrayProduct",
    "CellCore",
    "Converter",
    "Crossbar",
    "CrossbarParameters",
    "Device",
    "IdealDevice",
    "InputShares",
    "Layout",
    "LogThenPolynomial",
    "NormalSource",
    "Normals",
    "PairNormals",
    "Pcm",
    "Polynomial",
    "PowerLaw",
    "Product",
    "ProgrammedArray",
    "ProgrammedWeights",
    "ReadArray",
    "ReadScheme",
    "RecordedNormals",
    "RelaxingDevice",
    "Seed",
    "Supplied",
    "Table",
    "Tile",
    "WeightSlices",
    "WireComparison",
    "compare_wires",
    "crossbar_named",
    "device_named",
    "full_range",
    "nodal_currents",
    "predicted_std",
    "program",
    "program_array",
    "program_tile",
    "within",
]

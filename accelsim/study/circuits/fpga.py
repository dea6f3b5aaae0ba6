"""Circuits on an FPGA: `accelsim estimate fpga CIRCUIT key=value ...`.

Parameters may also be written as the columns of the reference tables are called (``W=8 D=512``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accelsim.cost.fpga import arithmetic, elementwise, finn, hls4ml
from accelsim.cost.fpga.fifo import FIFO_STYLES, fifo
from accelsim.cost.fpga.residual import FIFO_CHOICES, residual_block
from accelsim.cost.fpga.resources import Resources
from accelsim.cost.fpga.window import line_buffer
from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.technology.span import Span
from accelsim.study.circuits.records import Circuit, Parameter, Values

__all__ = ["ALIASES", "columns", "fpga_circuit", "known_fpga_circuits", "named"]

_YOSYS = "Yosys 0.70, synth_xilinx -family xcup, mapped cells; calibrated on synthesis points of our own (docs/fpga.md)"
_VIVADO_FINN = "FINN+ residual network, Vivado 2022.2 post-synthesis, XCZU7EV; calibrated on two thirds of its nodes"
_VIVADO_HLS4ML = "hls4ml CNNs, Vivado HLS 2019.2 and Vivado 2019.2 post-synthesis, XCVU9P; calibrated on those reports"

ALIASES: Mapping[str, Mapping[str, str]] = {
    "fifo": {"W": "width_bits", "D": "depth"},
    "product": {"A": "a_bits", "B": "b_bits", "G": "guard_bits", "N": "products", "dsp_allowed": "dsp"},
    "tree": {"N": "operands", "W": "bits"},
    "lines": {"WD": "words", "CB": "pixel_bits", "STYLE": "style"},
    "channels": {"C": "channels", "B": "bits", "RELU": "relu", "I": "in_bits", "O": "out_bits", "S": "shift"},
    "block": {"C": "channels", "B": "bits", "WD": "width", "FD": "depth", "FSTYLE": "style", "dsp_allowed": "dsp"},
    "none": {},
}
"""Column of a reference table -> parameter, by kind of circuit."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A circuit: what it is, how it is asked, what it takes, and how far its LUTs and flip-flops were off.

    Attributes:
        aliases: key of `ALIASES`.
        band: relative errors of LUT and FF that no validation row of its family went beyond.
    """

    description: str
    aliases: str
    parameters: tuple[Parameter, ...]
    take: Callable[[Values], Resources]
    source: str = _YOSYS
    band: tuple[float, float] = (0.1, 0.01)


def _whole(name: str, description: str, default: int | None = None) -> Parameter:
    return Parameter(name, "whole", description, default)


def _flag(name: str, description: str, default: int) -> Parameter:
    return Parameter(name, "flag", description, default)


_WIDTH, _DEPTH = _whole("width_bits", "bits of a word"), _whole("depth", "words")
_A, _B = _whole("a_bits", "bits of one operand"), _whole("b_bits", "bits of the other")
_DSP = _flag("dsp", "1 where DSP slices may be used", 0)
_CHANNELS, _BITS = _whole("channels", "channels of a pixel"), _whole("bits", "bits of an element")
_TREE = (_whole("operands", "words"), _whole("bits", "of a word"))
_RELU = _flag("relu", "1 to clamp at zero", 0)


def _fifo_of(style: str) -> Callable[[Values], Resources]:
    return lambda v: fifo(v.whole("width_bits"), v.whole("depth"), style)


def _block(v: Values) -> Resources:
    skips = v.word("skips")
    if skips != "none" and not v.has("depth"):
        raise InputError("is missing", file=v.circuit, field="depth", remedy="write depth=..., pixels of a skip FIFO")
    return residual_block(
        skips, v.whole("width"), v.whole("channels"), v.whole("bits"),  # type: ignore[arg-type]
        depth=v.whole("depth") if v.has("depth") else 1, style=v.word("style"), dsp=v.flag("dsp"),
    )  # fmt: skip


_ENTRIES: dict[str, _Entry] = {
    **{
        f"fifo_{style}": _Entry(f"A ready/valid FIFO, memory: {style}.", "fifo", (_WIDTH, _DEPTH), _fifo_of(style),
                                band=(0.15, 0.0))
        for style in FIFO_STYLES
    },
    "mult": _Entry(
        "A signed multiplier with an output register.", "product", (_A, _B, _DSP),
        lambda v: arithmetic.multiplier(v.whole("a_bits"), v.whole("b_bits"), dsp=v.flag("dsp")), band=(0.125, 0.0),
    ),
    "mac": _Entry(
        "A signed multiply-accumulate with clear.", "product",
        (_A, _B, _whole("guard_bits", "bits of the accumulator beyond a product"), _DSP),
        lambda v: arithmetic.multiply_accumulate(
            v.whole("a_bits"), v.whole("b_bits"), v.whole("guard_bits"), dsp=v.flag("dsp")
        ), band=(0.06, 0.0),
    ),
    "addertree": _Entry(
        "Sum of N signed words, one output register.", "tree", _TREE,
        lambda v: arithmetic.adder_tree(v.whole("operands"), v.whole("bits")), band=(0.08, 0.0),
    ),
    "addertree_pipe": _Entry(
        "Sum of N signed words, a register a level.", "tree", _TREE,
        lambda v: arithmetic.adder_tree(v.whole("operands"), v.whole("bits"), pipelined=True), band=(0.02, 0.02),
    ),
    "dot": _Entry(
        "Sum of N signed products, weights as inputs.", "product", (_whole("products", "of the sum"), _A, _B, _DSP),
        lambda v: arithmetic.dot_product(v.whole("products"), v.whole("a_bits"), v.whole("b_bits"), dsp=v.flag("dsp")),
        band=(0.1, 0.0),
    ),
    "dot_constweights": _Entry(
        "Sum of N signed products, constant weights drawn uniformly.", "product",
        (_whole("products", "of the sum"), _A, _B),
        lambda v: arithmetic.constant_dot_product(v.whole("products"), v.whole("a_bits"), v.whole("b_bits")),
        band=(0.4, 0.0),
    ),
    "linebuffer": _Entry(
        "Two line memories and a window of 3 x 3 pixels.", "lines",
        (_whole("words", "pixels of a line"), _whole("pixel_bits", "channels x bits"),
         Parameter("style", "word", "of the memories", "auto", FIFO_STYLES)),
        lambda v: line_buffer(v.whole("words"), v.whole("pixel_bits"), v.word("style")), band=(0.1, 0.0),
    ),
    "skipadd": _Entry(
        "The saturating adder of a skip, an output register.", "channels", (_CHANNELS, _BITS, _RELU),
        lambda v: elementwise.skip_adder(v.whole("channels"), v.whole("bits"), relu=v.flag("relu")), band=(0.02, 0.0),
    ),
    "requant": _Entry(
        "Bias, rounding shift and saturation, an output register.", "channels",
        (_CHANNELS, _whole("in_bits", "of the accumulator"), _whole("out_bits", "of the activation"),
         _whole("shift", "bits that are dropped"), _RELU),
        lambda v: elementwise.requantiser(
            v.whole("channels"), v.whole("in_bits"), v.whole("out_bits"), v.whole("shift")
        ), band=(0.1, 0.0),
    ),
    "resblock": _Entry(
        "A streaming residual block of two 3 x 3 convolutions.", "block",
        (Parameter("skips", "word", "long: around both, short: around each", "long", ("none", "long", "short")),
         _whole("width", "pixels of a line"), _CHANNELS, _BITS,
         Parameter("depth", "whole", "pixels of each skip FIFO", optional=True),
         Parameter("style", "word", "of the skip FIFOs", "rule", FIFO_CHOICES), _DSP),
        _block, band=(0.1, 0.01),
    ),
    "hls4ml_fifo": _Entry(
        "The FIFO of an hls4ml stream.", "fifo", (_WIDTH, _DEPTH),
        lambda v: hls4ml.stream_fifo(v.whole("width_bits"), v.whole("depth")), _VIVADO_HLS4ML, (0.5, 0.25),
    ),
    "finn_fifo_rtl": _Entry(
        "A FINN stream FIFO of shift registers.", "fifo", (_WIDTH, _DEPTH),
        lambda v: finn.shift_fifo(v.whole("width_bits"), v.whole("depth")), _VIVADO_FINN, (0.45, 0.55),
    ),
    "finn_fifo_vivado": _Entry(
        "A FINN stream FIFO of block RAM.", "fifo", (_WIDTH, _DEPTH),
        lambda v: finn.block_fifo(v.whole("width_bits"), v.whole("depth")), _VIVADO_FINN, (0.06, 0.0),
    ),
    "finn_add": _Entry(
        "The adder of a FINN skip.", "none", (_BITS, _whole("pe", "elements a cycle", 1)),
        lambda v: finn.add_streams(v.whole("bits"), v.whole("pe")), _VIVADO_FINN, (0.1, 0.1),
    ),
    "finn_duplicate": _Entry(
        "The duplicator of a FINN skip.", "none", (_CHANNELS, _BITS, _whole("pe", "elements a cycle", 1)),
        lambda v: finn.duplicate_streams(v.whole("channels"), v.whole("bits"), v.whole("pe")), _VIVADO_FINN, (0.1, 0.3),
    ),
}  # fmt: skip


def known_fpga_circuits() -> list[str]:
    """Names of all circuits."""
    return sorted(_ENTRIES)


def fpga_circuit(name: str) -> Circuit:
    """The circuit called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in _ENTRIES:
        raise UnknownNameError("circuit of an FPGA", name, _ENTRIES, file="estimate fpga", field="circuit")
    entry = _ENTRIES[name]

    def figures(values: Values) -> tuple[Mapping[str, Span], tuple[str, ...]]:
        return _spans(entry.take(values), entry.band), (entry.source,)

    return Circuit(f"fpga {name}", entry.description, entry.parameters, {"calibrated": figures})


def named(name: str, given: Mapping[str, object]) -> dict[str, object]:
    """``given`` with the columns of the reference tables replaced by the names of the parameters.

    Raises:
        InputError: a parameter that is given under both names.
    """
    aliases = ALIASES[_ENTRIES[name].aliases] if name in _ENTRIES else {}
    found: dict[str, object] = {}
    for written, amount in given.items():
        each, value = written, amount
        if each == "MODE" and value in (0, 1, 2):
            each, value = "skips", ("none", "long", "short")[int(str(value))]
        full = aliases.get(each, each)
        if full in found:
            raise InputError("is given twice", file=f"estimate fpga {name}", field=full)
        found[full] = value
    return found


def columns(name: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """The parameters of a circuit under the columns of the reference tables: what `named` undoes."""
    shorter = {full: column for column, full in ALIASES[_ENTRIES[name].aliases].items()}
    found = {shorter.get(each, each): value for each, value in parameters.items()}
    if "skips" in found:
        found["MODE"] = ("none", "long", "short").index(str(found.pop("skips")))
    return found


def _spans(found: Resources, band: tuple[float, float]) -> dict[str, Span]:
    relative = {"lut": band[0], "lut_logic": band[0], "ff": band[1]}
    return {
        name: Span(amount, amount * (1 - relative.get(name, 0.0)), amount * (1 + relative.get(name, 0.0)))
        for name, amount in found.by_name().items()
    }

"""Verilog of one circuit: its modules in one text, what was asked for as the defaults of the top one's parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import UnsupportedError
from accelsim.study.circuits import CircuitEstimate
from accelsim.study.rtl.circuits import CIRCUITS, Point, point

__all__ = ["block_weights", "drawn_weights", "verilog", "verilog_of", "verilog_of_estimate"]

_TAPS = 9
_CONVOLUTIONS = 2


def verilog(circuit: str, parameters: Mapping[str, object]) -> str:
    """The Verilog (2005) of a circuit, complete and ready to synthesise or simulate.

    Args:
        circuit: a family of validation/fpga/README.md, such as ``fifo_srl`` or ``resblock``.
        parameters: by the columns of those tables, such as ``{"W": 8, "D": 64}``.

    Raises:
        InputError: a parameter that is missing, not known or breaks a rule.
    """
    return verilog_of(point(circuit, parameters))


def verilog_of_estimate(estimate: CircuitEstimate) -> str:
    """The Verilog of a circuit that was estimated, with the same parameters.

    Raises:
        UnsupportedError: no circuit of an FPGA, or one of HLS or FINN, which others write.
        InputError: a size that the Verilog does not have.
    """
    family, _, name = estimate.circuit.partition(" ")
    if family != "fpga" or name not in CIRCUITS:
        raise UnsupportedError("is not written as Verilog", file="--verilog", value=estimate.circuit,
                               remedy=f"written are {', '.join(f'fpga {each}' for each in CIRCUITS)}")  # fmt: skip
    from accelsim.study.circuits.fpga import columns

    return verilog_of(point(name, columns(name, estimate.parameters)))


def verilog_of(asked: Point) -> str:
    """As `verilog`, of a point."""
    folder = files("accelsim.study.rtl") / "verilog"
    texts = [(folder / f"{name}.v").read_text(encoding="utf-8") for name in asked.circuit.files]
    for name, literal in _literals(asked).items():
        texts[0] = _with_default(texts[0], name, literal)
    return "\n".join([f"// {asked.name}: written by accelsim; the top module is {asked.circuit.top}.", *texts])


def drawn_weights(seed: int, shape: tuple[int, ...], bits: int) -> NDArray[np.int64]:
    """Signed weights of ``bits``, drawn uniformly."""
    return np.random.default_rng(seed).integers(-(1 << (bits - 1)), 1 << (bits - 1), shape, dtype=np.int64)


def block_weights(asked: Point) -> NDArray[np.int64]:
    """Weights of a ``resblock`` that are drawn where none are given: (2, 9, C, C): convolution, tap, output, input."""
    channels = asked.size("C")
    shape = (_CONVOLUTIONS, _TAPS, channels, channels)
    return drawn_weights(asked.size("seed"), shape, asked.size("B"))


def _literals(asked: Point) -> dict[str, str]:
    """Parameters of the top module as Verilog writes them."""
    own = {name: name for name in asked.parameters if name not in ("seed", "WD")} | dict(asked.circuit.sizes)
    if asked.circuit.name == "linebuffer":
        own["WD"] = "WD"
    values = {**asked.circuit.fixed, **{name: asked.parameters[column] for name, column in own.items()}}
    found = {name: f'"{value}"' if isinstance(value, str) else str(value) for name, value in values.items()}
    bits = asked.parameters.get("B")
    if asked.circuit.name == "dot_constweights":
        weights = drawn_weights(asked.size("seed"), (1, asked.size("N")), asked.size("B"))
        found["WEIGHTS"] = _packed(weights, int(bits or 0))
    if asked.circuit.name == "resblock":
        for number, weights in enumerate(block_weights(asked), start=1):
            found[f"WEIGHTS_{number}"] = _packed(weights.reshape(-1, weights.shape[-1]), int(bits or 0))
    return found


def _packed(weights: NDArray[np.int64], bits: int) -> str:
    """Rows of weights as one constant, the first weight in the lowest bits; a line a row."""
    mask = (1 << bits) - 1
    words = [sum((int(each) & mask) << (bits * place) for place, each in enumerate(row)) for row in weights]
    size = bits * weights.shape[1]
    lines = [f"        {size}'h{word:0{-(-size // 4)}x}" for word in reversed(words)]
    return "{\n" + ",\n".join(lines) + "\n    }"


def _with_default(text: str, name: str, literal: str) -> str:
    """``text`` with another default of a parameter of its first module."""
    pattern = rf"(parameter (?:\[[^\]]*\] )?{name} = )[^,\n]+"
    changed, count = re.subn(pattern, lambda found: found[1] + literal, text, count=1)
    if not count:
        raise AssertionError(f"the top module has no parameter {name}")
    return changed

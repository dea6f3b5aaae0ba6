"""Bits of the words of streams and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from accelsim.errors import UnsupportedError
from accelsim.numerics import FORMATS, Integer
from accelsim.workload.graph import Graph

__all__ = ["FormatWidths", "UniformWidths", "Widths"]


class Widths(Protocol):
    """Bits by name of a tensor."""

    def weight(self, tensor: str) -> int:
        """Bits of a weight."""

    def activation(self, tensor: str) -> int:
        """Bits of an element of a stream."""


@dataclass(frozen=True, slots=True)
class UniformWidths:
    """One width for all weights, another for all streams."""

    weight_bits: int
    activation_bits: int

    def weight(self, tensor: str) -> int:
        del tensor
        return self.weight_bits

    def activation(self, tensor: str) -> int:
        del tensor
        return self.activation_bits


@dataclass(frozen=True, slots=True)
class FormatWidths:
    """Widths of the formats that are assigned to a graph's tensors."""

    graph: Graph

    def weight(self, tensor: str) -> int:
        return self._bits(tensor)

    def activation(self, tensor: str) -> int:
        return self._bits(tensor)

    def _bits(self, tensor: str) -> int:
        """Bits of an element.

        Raises:
            UnsupportedError: no integer, or one with a scale for each block.
        """
        name = self.graph.tensors[tensor].format
        kind = FORMATS[name or "fp32"]
        if not isinstance(kind.element, Integer) or kind.shared == "block":
            raise UnsupportedError(
                "is no format of FPGA stages, which compute in integers", field=f"format of {tensor}", value=name,
                remedy="use int2 to int8, with a scale a tensor or a channel",
            )  # fmt: skip
        return int(kind.element.bits)

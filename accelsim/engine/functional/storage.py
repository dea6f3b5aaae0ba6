"""The formats in which a mapped model stores its values."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from accelsim.engine.functional.product import narrowed
from accelsim.numerics import FORMATS, Format
from accelsim.workload.graph import Graph

__all__ = ["Storage"]

Array = NDArray[Any]


class Storage:
    """Rounds results: to the format of values, then to that of the tensor where it is a float without scales.

    Integer tensors and those in blocks are quantised when they are read.
    """

    def __init__(self, graph: Graph, vector: Format) -> None:
        self.vector = vector
        self._forms = {tensor.name: FORMATS[tensor.format] for tensor in graph.all_tensors() if tensor.format}

    def stored(self, name: str, value: Array, op: str) -> tuple[Array, int, int]:
        """A result as tensor ``name`` holds it, and how many of its numbers saturated and became zero."""
        value, *counts = self.rounded(value, self.vector, op)
        form = self._forms.get(name, self.vector)
        if form.scale is None and form is not self.vector:
            value, *more = self.rounded(value, form, op)
            counts = [counts[0] + more[0], counts[1] + more[1]]
        return value, counts[0], counts[1]

    @staticmethod
    def rounded(value: Array, form: Format, op: str) -> tuple[Array, int, int]:
        """Floats in a format without scales; everything else as it is."""
        if value.dtype.kind != "f" or not value.size or form.name == "fp32":
            return value, 0, 0
        made, saturated, flushed = narrowed(value, form, op)
        return made.astype(value.dtype, copy=False), saturated, flushed

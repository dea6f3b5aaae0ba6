"""Zeros of the weights that an ONNX file stores, where their values are at hand."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike

import numpy as np

from accelsim.workload.graph import Graph, Sparsity

__all__ = ["with_counted_zeros"]

MOST_BYTES = 1 << 28
"""Stored weights that are looked at; a larger model keeps what it knows."""


def with_counted_zeros(graph: Graph, path: str | PathLike[str], most_bytes: int = MOST_BYTES) -> Graph:
    """The graph with the zeros of its weights as the ONNX file ``path`` stores them.

    A weight under another name or size than in the file, or outside of the file, keeps what is known of it: nothing.
    For quantised weights a zero is a stored 0, which is the number zero where the zero point is 0.
    """
    from onnx import numpy_helper

    from accelsim.workload.onnx.read import read_model

    model, _ = read_model(path)
    tensors = dict(graph.tensors)
    budget = most_bytes
    for stored in model.graph.initializer:
        tensor = tensors.get(stored.name)
        size = stored.ByteSize()
        if tensor is None or tensor.role != "weight" or stored.data_location or size > budget:
            continue
        budget -= size
        try:
            values = np.asarray(numpy_helper.to_array(stored))
        except (ValueError, TypeError):  # the front end judges files; here it means that values are not at hand
            continue
        if values.size == tensor.elements:
            zeros = int(values.size - np.count_nonzero(values))
            tensors[stored.name] = replace(tensor, sparsity=Sparsity("unstructured", zeros))
    return graph.with_tensors(tensors)

"""The sparse deep neural network of the GraphChallenge (Kepner et al. 2019, arXiv 1909.05631)."""

from __future__ import annotations

from dataclasses import replace

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.graph import Graph, Sparsity

__all__ = ["graphchallenge"]

_MOST_LAYERS = 10_000


def graphchallenge(*, neurons: Size, layers: Size, links: Size, batch: Size = 1) -> Graph:
    """``layers`` layers of ``neurons``, each of which has ``links`` weights that are not zero, for ``batch`` images.

    A layer is a product, one bias for all neurons and a ReLU that is clipped at 32. Weights have their zeros recorded;
    MACs and stored bytes are those of dense layers, as everywhere. Rows of the input that thin out from layer to layer
    depend on its values and are counted in full.

    Raises:
        InputError: more links than neurons, or more than 10,000 layers.
    """
    where = "workload graphchallenge"
    if links > neurons:
        raise InputError(f"must be at most neurons = {neurons}", file=where, field="links", value=links)
    if layers > _MOST_LAYERS:
        raise InputError(f"must be at most {_MOST_LAYERS}", file=where, field="layers", value=layers)
    build = GraphBuilder()
    here = build.input("images", (batch, neurons))
    bias = build.tensor("bias", (1,), "constant")
    for index in range(layers):
        name = f"layer.{index}"
        here = build.matmul(name, here, neurons, bias=False)
        weight = f"{name}.weight"
        zeros = Sparsity("unstructured", (neurons - links) * neurons)
        build.tensors[weight] = replace(build.tensors[weight], sparsity=zeros)
        here = build.elementwise(f"{name}.bias", "add", here, bias)
        here = build.elementwise(f"{name}.relu", "clip", here)
    return build.graph("graphchallenge", [here], batch=batch)

"""The stages of the TFLite front end, in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx.recipe import file_recipe
from accelsim.workload.ops import Op
from accelsim.workload.outcomes import TAKEN
from accelsim.workload.tflite.read import read_model
from accelsim.workload.tflite.walk import Walk

__all__ = ["converted"]


def converted(path: Path, allowed: frozenset[str], branches: Mapping[str, str | float]) -> Graph:
    """`from_tflite` with its defaults filled in."""
    model = read_model(path)
    walk = Walk(model, allowed, branches)
    walk.check()
    top = model.subgraphs[0]
    inputs = [walk.name(0, index) for index in top.inputs if index >= 0]
    walk.run(0)
    for name in branches.keys() - walk.asked.keys() - walk.branching() - {"*"}:
        raise UnknownNameError("IF of this model", name, walk.branching(), file=path, field="branches")
    outputs = tuple(dict.fromkeys((*(walk.name(0, i) for i in top.outputs if i >= 0), *walk.kept)))
    ops = _live(walk.ops, outputs)
    used = dict.fromkeys((*inputs, *(name for op in ops for name in (*op.inputs, *op.outputs)), *outputs))
    states = [name for name in dict.fromkeys(walk.states) if name in used]
    tensors = {name: walk.tensors[name] for name in used}
    given = tuple(dict.fromkeys((*(name for name in inputs if name not in walk.constants), *states)))
    if not ops:
        raise UnsupportedError("computes nothing that depends on its inputs", file=path)
    recipe = file_recipe(ops, tensors)
    batch = next((tensors[name].shape[0] for name in given if tensors[name].role != "state" and tensors[name].shape), 1)
    facts = {f"{TAKEN}{name}": word for name, word in walk.asked.items()}
    recipes = {recipe.name: recipe} if recipe else {}
    return Graph(path.stem, tuple(ops), tensors, given, outputs, batch, recipes=recipes, parameters_used=facts)


def _live(ops: list[Op], outputs: tuple[str, ...]) -> list[Op]:
    """The ops that an output needs."""
    needed = set(outputs)
    live: list[Op] = []
    for op in reversed(ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            live.append(op)
    return live[::-1]

"""Small graphs by hand and at random."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Elementwise, Loop, MatMul, Move, Op

SIDE = 4


def _op(name: str, kind: str, inputs: Sequence[str], tensors: dict[str, Tensor]) -> Op:
    shape = tensors[inputs[0]].shape
    if kind == "work":
        tensors[f"{name}.w"] = Tensor(f"{name}.w", (shape[-1], shape[-1]), "weight")
        tensors[name] = Tensor(name, shape)
        return MatMul(name=name, inputs=(inputs[0], f"{name}.w"), outputs=(name,), m=1, n=shape[-1], k=shape[-1])
    if kind == "concat":
        wide = sum(tensors[each].shape[-1] for each in inputs)
        tensors[name] = Tensor(name, (1, wide))
        return Move(name=name, inputs=tuple(inputs), outputs=(name,), function="concat", elements=wide)
    tensors[name] = Tensor(name, shape)
    function = "add" if kind == "add" else "relu"
    return Elementwise(name=name, inputs=tuple(inputs), outputs=(name,), function=function, elements=shape[-1])


def lines(*ops: tuple[str, str, Sequence[str]], inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ()) -> Graph:
    """A graph of (name, kind, sources): work (a product), add, concat, or step (anything else); one row of 4."""
    tensors = {name: Tensor(name, (1, SIDE)) for name in inputs}
    made = tuple(_op(name, kind, sources, tensors) for name, kind, sources in ops)
    return Graph("lines", made, tensors, tuple(inputs), tuple(outputs) or (made[-1].name,))


@st.composite
def any_graph(draw: st.DrawFn, most: int = 14) -> Graph:
    """Chains, forks, adds and concats of fitting widths, maybe with a loop around a copy of some of it."""
    names = {"x": SIDE, "y": SIDE}
    ops: list[tuple[str, str, list[str]]] = []
    for index in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(["work", "work", "step", "add", "add", "concat"]))
        first = draw(st.sampled_from(sorted(names)))
        sources = [first]
        if kind == "add":
            sources.append(draw(st.sampled_from(sorted(name for name in names if names[name] == names[first]))))
        elif kind == "concat":
            sources.append(draw(st.sampled_from(sorted(names))))
        ops.append((f"t{index}", kind, sources))
        names[f"t{index}"] = sum(names[each] for each in sources) if kind == "concat" else names[first]
    outputs = draw(st.lists(st.sampled_from([name for name, _, _ in ops]), min_size=1, max_size=2, unique=True))
    graph = lines(*ops, inputs=("x", "y"), outputs=outputs)
    return looped(graph) if draw(st.booleans()) else graph


def looped(body: Graph, steps: int = 3) -> Graph:
    """A loop around a graph whose inputs come from outside in each step."""
    tensors = {name: body.tensors[name] for name in body.inputs}
    tensors |= {name: each for name, each in body.tensors.items() if each.role == "weight"}
    outputs = tuple(f"{name}.all" for name in body.outputs)
    tensors |= {
        made: Tensor(made, (steps, *body.tensors[name].shape)) for made, name in zip(outputs, body.outputs, strict=True)
    }
    weights = tuple(name for name, each in body.tensors.items() if each.role == "weight")
    loop = Loop(name="loop", inputs=(*body.inputs, *weights), outputs=outputs, body=body, steps=steps)
    return Graph("looped", (loop,), tensors, body.inputs, outputs)


def block(*, activation_first: bool = False, projected: bool = False) -> Graph:
    """A residual block of two convolutions of 8 channels on 6 x 6 pixels."""
    build = GraphBuilder()
    source = build.input("image", (1, 8, 6, 6))
    here = build.elementwise("stem", "relu", source)
    start = here
    stride = 2 if projected else 1
    for index in (1, 2):
        if activation_first:
            here = build.elementwise(f"relu{index}", "relu", here)
        here = build.conv(f"conv{index}", here, 8, 3, stride=stride if index == 1 else 1, padding=1)
        if not activation_first:
            scale = build.tensor(f"bn{index}.weight", (2, 8), "weight")
            here = build.elementwise(f"bn{index}", "batch_norm", here, scale)
            if index == 1:
                here = build.elementwise("relu1", "relu", here)
    skip = build.conv("projection", start, 8, 1, stride=2) if projected else start
    here = build.elementwise("join", "add", here, skip)
    return build.graph("block", [build.elementwise("last", "relu", here)])


def unet() -> Graph:
    """An encoder and a decoder of two levels, joined by a concat skip: 4 channels up, 8 down, a 3 x 3 convolution."""
    build = GraphBuilder()
    top = build.elementwise("enc.relu", "relu", build.conv("enc", build.input("image", (1, 3, 8, 8)), 4, 3, padding=1))
    low = build.reduce("pool", "max_pool", top, (1, 4, 4, 4))
    low = build.conv("mid", low, 8, 3, padding=1)
    (up,) = build.move("up", "gather", [low], (1, 8, 8, 8))
    (joined,) = build.move("join", "concat", [up, top], (1, 12, 8, 8))
    scale = build.tensor("norm.weight", (2, 12), "weight")
    here = build.elementwise("norm", "batch_norm", joined, scale)
    return build.graph("unet", [build.conv("dec", here, 5, 3, padding=1, bias=True)])

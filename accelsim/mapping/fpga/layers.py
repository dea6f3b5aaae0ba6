"""A workload as layers of a streaming accelerator, and which of its streams a skip connection runs over.

Images pass pixel by pixel with all channels of a pixel, rows first. Normalisations, biases, activations and
quantisers behind matrix work are done by it, in its thresholds or requantisers; behind anything else they are a layer
of their own. A tensor that several layers read is duplicated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal

from accelsim.errors import UnsupportedError
from accelsim.mapping.fpga.widths import Widths
from accelsim.mapping.fpga.windows import Geometry
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Move, Op, Reduce
from accelsim.workload.vector_work import FOLDED, FUSED

__all__ = ["Layer", "LayerKind", "Shape", "layers_of", "skip_edges"]

LayerKind = Literal[
    "source", "convolution", "dense", "add", "concat", "activation", "pool", "mean", "subsample", "wiring", "fork",
    "sink",
]  # fmt: skip

_ABSORBED = frozenset({
    FOLDED, "relu", "clip", "batch_norm", "scale_shift", "quantize", "dequantize", "cast", "identity", "threshold",
    "leaky_relu", "floor", "round",
})  # fmt: skip
_AFFINE = frozenset({"add", "sub", "mul", "div"})
_FOLDS = frozenset({FOLDED, "batch_norm", "scale_shift", "identity", "cast", "dequantize"})
_MATRIX = ("convolution", "dense")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stream carries in a frame: ``rows`` x ``columns`` pixels of ``channels`` words."""

    rows: int
    columns: int
    channels: int

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    @property
    def image(self) -> tuple[int, int]:
        return self.rows, self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer. ``ops`` are indices of the ops that it does, ``inputs`` and ``outputs`` names of its edges.

    ``geometry`` is the window of convolutions and pools, or the image and stride of a subsampling; ``activates`` says
    whether an activation or quantiser is part of matrix work.
    """

    name: str
    kind: LayerKind
    ops: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: Shape
    made: Shape
    in_bits: int
    out_bits: int
    weight_bits: int = 0
    macs: int = 0
    geometry: Geometry | None = None
    activates: bool = False
    groups: int = 1

    @property
    def taps(self) -> int:
        """Pixels that one output depends on: those of a window, or all that a dense layer reads."""
        return prod(self.geometry.kernel) if self.geometry is not None else self.source.pixels

    @property
    def vector(self) -> int:
        """Inputs of one output: the channels of its group x taps."""
        return self.source.channels // self.groups * self.taps

    @property
    def group_outputs(self) -> int:
        """Outputs that may be computed at a time: those that read the same inputs, or in a depthwise layer all."""
        return self.made.channels // (1 if self.depthwise else self.groups)

    @property
    def depthwise(self) -> bool:
        """Whether no two output channels read the same inputs."""
        return 1 < self.groups == self.made.channels

    @property
    def accumulator_bits(self) -> int:
        """Bits that a sum of all products never leaves."""
        return self.in_bits + self.weight_bits + (self.vector - 1).bit_length()

    @property
    def matrix(self) -> bool:
        return self.kind in _MATRIX


def layers_of(graph: Graph, widths: Widths) -> tuple[Layer, ...]:
    """The layers of ``graph``, upstream before downstream, with an edge from each to each that reads it.

    Raises:
        UnsupportedError: an op, or a shape, that no streaming stage is modelled for; or several inputs or outputs.
    """
    reader = _Reader(graph, widths)
    for index, op in enumerate(graph.ops):
        reader.read(index, op)
    return _with_forks(reader.finished())


@dataclass
class _Reader:
    """Reads ops in order. ``where`` names the tensor that holds what another tensor is a view of."""

    graph: Graph
    widths: Widths
    layers: list[Layer] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    makers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readers = Counter(name for op in self.graph.ops for name in op.inputs)
        self.readers.update(self.graph.outputs)
        moving = [name for name in self.graph.inputs if self.graph.tensors[name].role == "activation"]
        for what, names in (("input", moving), ("output", list(self.graph.outputs))):
            if len(names) != 1:
                raise UnsupportedError(f"is not 1: a pipeline has one {what} stream", field=f"{what}s of the workload",
                                       value=len(names), remedy="cut the model to one")  # fmt: skip
        shape = self._shape(self.graph.tensors[moving[0]])
        bits = self.widths.activation(moving[0])
        self._add(Layer(name=moving[0], kind="source", ops=(), inputs=(), outputs=(moving[0],), source=shape,
                        made=shape, in_bits=bits, out_bits=bits))  # fmt: skip

    def read(self, index: int, op: Op) -> None:
        """Add the layer of one op, or give it to the layer before."""
        inputs = [self.where[name] for name in op.inputs if name in self.where]
        if not inputs:  # of constants only
            return
        if isinstance(op, Conv):
            self._convolution(index, op, inputs)
        elif isinstance(op, MatMul):
            self._dense(index, op, inputs)
        elif isinstance(op, Elementwise):
            self._elementwise(index, op, inputs)
        elif isinstance(op, Reduce):
            self._reduction(index, op, inputs)
        elif isinstance(op, Move):
            self._move(index, op, inputs)
        else:
            raise self._unsupported(op, f"is no stage of a streaming accelerator ({op.kind})")

    def finished(self) -> list[Layer]:
        """The layers with the sink behind them."""
        last = self.where[self.graph.outputs[0]]
        shape, bits = self.shapes[last], self.layers[self.makers[last]].out_bits
        sink = Layer(name=f"{self.graph.name}.output", kind="sink", ops=(), inputs=(last,), outputs=(), source=shape,
                     made=shape, in_bits=bits, out_bits=bits)  # fmt: skip
        return [*self.layers, sink]

    def _unsupported(self, op: Op, rule: str, remedy: str = "cut it from the model") -> Exception:
        return UnsupportedError(rule, file=f"workload {self.graph.name}", field=f"op {op.name}",
                                value=op.label or op.kind, remedy=remedy)  # fmt: skip

    def _shape(self, tensor: Tensor) -> Shape:
        """(batch, channels, rows, columns), (batch, channels, length) or (batch, features)."""
        batch, sizes = self.graph.batch, tensor.shape
        if sizes and sizes[0] == batch and 2 <= len(sizes) <= 4:
            rows, columns = (1, 1, *sizes[2:])[-2:]
            return Shape(rows, columns, sizes[1])
        raise UnsupportedError("is not (batch, channels, rows, columns) or shorter", file=f"workload {self.graph.name}",
                               field=f"tensor {tensor.name}", value=sizes,
                               remedy="a stream carries an image or a vector a frame")  # fmt: skip

    def _add(self, layer: Layer) -> None:
        (made,) = layer.outputs
        self.where[made], self.shapes[made], self.makers[made] = made, layer.made, len(self.layers)
        self.layers.append(layer)

    def _layer(
        self, index: int, op: Op, kind: LayerKind, inputs: list[str], *, geometry: Geometry | None = None,
        weight: str = "", bits: int | None = None, groups: int = 1,
    ) -> None:  # fmt: skip
        made = op.outputs[0]
        in_bits = max(self.layers[self.makers[name]].out_bits for name in inputs)
        self._add(
            Layer(
                name=op.name, kind=kind, ops=(index,), inputs=tuple(inputs), outputs=(made,),
                source=self.shapes[inputs[0]], made=self._shape(self.graph.tensors[made]), in_bits=in_bits,
                out_bits=self.widths.activation(made) if bits is None else bits, geometry=geometry, macs=op.macs,
                weight_bits=self.widths.weight(weight) if weight else 0, groups=groups,
            )
        )  # fmt: skip

    def _convolution(self, index: int, op: Conv, inputs: list[str]) -> None:
        if op.transposed or any(each != 1 for each in op.dilation):
            raise self._unsupported(op, "is dilated or transposed, which no stage is modelled for")
        if len(op.kernel) > 2 or op.inputs[1] in self.where:
            raise self._unsupported(op, "is not a convolution of an image with constant weights")
        kernel, stride = (tuple((1, *each)[-2:]) for each in (op.kernel, op.stride))
        begins, ends = _two_sided(op)
        geometry = Geometry(
            self.shapes[inputs[0]].image, (kernel[0], kernel[1]), (stride[0], stride[1]), (*begins, *ends)
        )
        if prod(geometry.output) != prod(op.output_size):
            raise self._unsupported(op, f"makes {op.output_size}, where its window makes {geometry.output}")
        self._layer(index, op, "convolution", inputs, geometry=geometry, weight=op.inputs[1], groups=op.groups)

    def _dense(self, index: int, op: MatMul, inputs: list[str]) -> None:
        constant = len(op.inputs) > 1 and op.inputs[1] not in self.where
        if op.groups != 1 or op.m != self.graph.batch or not constant:
            raise self._unsupported(op, "is not a dense layer with constant weights")
        self._layer(index, op, "dense", inputs, weight=op.inputs[1])

    def _elementwise(self, index: int, op: Elementwise, inputs: list[str]) -> None:
        first, *behind = op.function.split(FUSED)
        joins = first == "add" and len(inputs) == 2
        known = first in _ABSORBED or (first in _AFFINE and len(inputs) == 1)
        if not (joins or known) or not all(each in _ABSORBED | _AFFINE for each in behind):
            raise self._unsupported(op, f"computes {op.function}, which no stage is modelled for")
        if joins:
            left, right = (self.shapes[name] for name in inputs)
            if left != right:
                raise self._unsupported(op, f"adds streams of different rate or width ({left} and {right})",
                                        "give both branches the same stride and channels")  # fmt: skip
            self._layer(index, op, "add", inputs)
        elif self._absorbs(inputs[0]):
            self._absorb(index, op, inputs[0])
        else:
            self._layer(index, op, "activation", inputs)

    def _absorbs(self, tensor: str) -> bool:
        maker = self.layers[self.makers[tensor]]
        return (maker.matrix or maker.kind == "activation") and self.readers[tensor] == 1

    def _absorb(self, index: int, op: Op, tensor: str) -> None:
        place, made = self.makers[tensor], op.outputs[0]
        maker = self.layers[place]
        assert isinstance(op, Elementwise)
        activates = maker.activates or not set(op.function.split(FUSED)) <= _AFFINE | _FOLDS
        self.layers[place] = replace(maker, ops=(*maker.ops, index), outputs=(made,), activates=activates,
                                     out_bits=self.widths.activation(made))  # fmt: skip
        self.where[made], self.shapes[made], self.makers[made] = made, self.shapes[tensor], place

    def _reduction(self, index: int, op: Reduce, inputs: list[str]) -> None:
        source, made = self.shapes[inputs[0]], self._shape(self.graph.tensors[op.outputs[0]])
        whole = made.pixels == 1 and made.channels == source.channels
        if op.function in ("mean", "average_pool", "sum") and whole:
            self._layer(index, op, "mean", inputs)
            return
        taps, rest = divmod(op.elements, prod(self.graph.tensors[op.outputs[0]].shape))
        side = round(taps**0.5)
        if op.function not in ("max_pool", "average_pool", "mean") or rest or side * side != taps:
            raise self._unsupported(op, f"computes {op.function}, which no stage is modelled for")
        self._layer(index, op, "pool", inputs, geometry=_pooling(source, made, side))

    def _move(self, index: int, op: Move, inputs: list[str]) -> None:
        source, tensor = self.shapes[inputs[0]], self.graph.tensors[op.outputs[0]]
        made = self._shape(tensor) if not op.view or len(tensor.shape) in (2, 4) else source
        if op.function == "concat" and len(inputs) == len(op.inputs) > 1:
            if any(self.shapes[name].image != source.image for name in inputs):
                raise self._unsupported(op, "joins streams of different rate",
                                        "give all branches the same stride")  # fmt: skip
            self._layer(index, op, "concat", inputs)
        elif op.function == "slice" and made.channels == source.channels and made.pixels < source.pixels:
            stride = -(-source.rows // made.rows), -(-source.columns // made.columns)
            self._layer(index, op, "subsample", inputs, geometry=Geometry(source.image, (1, 1), stride))
        elif op.function == "pad" and made.image == source.image:  # zeros for new channels: wires
            self._layer(index, op, "wiring", inputs, bits=self.layers[self.makers[inputs[0]]].out_bits)
        elif prod(tensor.shape) == source.pixels * source.channels * self.graph.batch:
            self.where[op.outputs[0]] = inputs[0]  # the same values in the same order
        else:
            raise self._unsupported(op, f"moves data ({op.function}) in a way that no stage is modelled for")


def _two_sided(op: Conv) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding of (top, left) and (bottom, right)."""
    axes = len(op.kernel)
    sides = op.padding or (0,) * axes
    begins, ends = (sides, sides) if len(sides) == axes else (sides[:axes], sides[axes:])
    return tuple((0, *begins)[-2:]), tuple((0, *ends)[-2:])  # type: ignore[return-value]


def _pooling(source: Shape, made: Shape, side: int) -> Geometry:
    """A square window; padding, which a model may leave open, is what makes the sizes meet."""
    stride = max(source.rows // made.rows, 1), max(source.columns // made.columns, 1)
    lacking = [
        max((out - 1) * step + side - size, 0) for out, step, size in zip(made.image, stride, source.image, strict=True)
    ]
    top, left = (each // 2 for each in lacking)
    return Geometry(source.image, (side, side), stride, (top, left, lacking[0] - top, lacking[1] - left))


def _with_forks(layers: list[Layer]) -> tuple[Layer, ...]:
    """An edge for each (tensor, reader), and a fork behind every tensor that several layers read."""
    readers: dict[str, list[str]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer.name)
    found: list[Layer] = []
    for layer in layers:
        inputs = tuple(_edge(name, layer.name, readers) for name in layer.inputs)
        made = layer.outputs[0] if layer.outputs else ""
        found.append(replace(layer, inputs=inputs, outputs=(made,) if made else ()))
        if len(readers.get(made, ())) > 1:
            edges = tuple(_edge(made, reader, readers) for reader in readers[made])
            found.append(replace(
                layer, name=f"{layer.name}.fork", kind="fork", ops=layer.ops[-1:], inputs=(made,), outputs=edges,
                source=layer.made, in_bits=layer.out_bits, geometry=None, macs=0, weight_bits=0, groups=1,
            ))  # fmt: skip
    return tuple(found)


def _edge(tensor: str, reader: str, readers: dict[str, list[str]]) -> str:
    return tensor if len(readers[tensor]) == 1 else f"{tensor}->{reader}"


def skip_edges(layers: tuple[Layer, ...]) -> dict[str, str]:
    """The edges that skip connections run over, with the join where each ends.

    Of the two ways to a join from where they part, the one with fewer MACs is the skip; ways with equal work are
    branches, unless neither has any. An edge of nested skips belongs to the innermost.
    """
    makers = {edge: index for index, layer in enumerate(layers) for edge in layer.outputs}
    above: list[frozenset[int]] = []
    for index, layer in enumerate(layers):
        above.append(frozenset((index,)).union(*(above[makers[edge]] for edge in layer.inputs)))
    found: dict[str, str] = {}
    for layer in layers:
        if layer.kind not in ("add", "concat"):
            continue
        ways = [_way(makers, above, layer.inputs, edge) for edge in layer.inputs]
        work = [sum(layers[index].macs for index in way) for way in ways]
        for edge, way, macs in zip(layer.inputs, ways, work, strict=True):
            if macs < max(work):
                for each in [edge, *(edge for index in way for edge in layers[index].inputs)]:
                    found.setdefault(each, layer.name)
    return found


def _way(makers: dict[str, int], above: list[frozenset[int]], joined: tuple[str, ...], edge: str) -> frozenset[int]:
    """Layers on the way to a join over ``edge``, from where it parts from the others."""
    others = frozenset().union(*(above[makers[other]] for other in joined if other != edge))
    return above[makers[edge]] - others

"""Tensors and the graph of ops over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite, prod
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from accelsim.documents import Constant
from accelsim.errors import GraphError, UnknownNameError
from accelsim.numerics import FORMATS, format_named
from accelsim.workload.ops import GATES, Conv, Host, Loop, MatMul, Op, Recurrent

if TYPE_CHECKING:
    from os import PathLike

    from accelsim.workload.rewrite.report import RewriteReport

__all__ = ["Calibration", "Dimension", "Graph", "PrecisionRecipe", "Residual", "Role", "Sparsity", "Tensor"]

Role = Literal["weight", "activation", "state", "constant"]
MAX_SIZE = 10**12
"""Largest size of a tensor or loop; products of a few of them still count exactly."""


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Zeros of a constant tensor: ``zeros`` of its elements, in a ``pattern``: unstructured, or N:M such as 2:4.

    A fact about the values. Stored bytes and MACs stay those of the dense tensor; a cost model may exploit it.
    """

    pattern: str
    zeros: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A typed array. ``format`` is None until a precision is assigned (then it names a number format).

    ``sparsity`` is None where nothing is known of the values. ``stored_bits`` is what an element takes in the model
    that it came from; it counts until a format is assigned.
    """

    name: str
    shape: tuple[int, ...]
    role: Role = "activation"
    format: str | None = None
    sparsity: Sparsity | None = None
    stored_bits: int | None = None

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> float:
        """Stored bytes; those of the model where no format is assigned, FP32 where it says nothing."""
        if self.format is None and self.stored_bits is not None:
            return self.elements * self.stored_bits / 8
        return self.elements * FORMATS[self.format or "fp32"].bytes_per_element


@dataclass(frozen=True, slots=True)
class PrecisionRecipe:
    """Formats by op-name pattern; the first pattern that matches an op wins, ``default`` takes the rest.

    ``alternatives`` names the recipes of the same workload that are equally compatible with what is published.
    Quantisers (see `accelsim.numerics.quantiser_named`) are likewise by pattern, the first wins, and say what range
    integers are spread over when values are emulated; without one it is that of the tensor at hand.
    """

    name: str
    default: str
    patterns: tuple[tuple[str, str], ...] = ()
    source: str = ""
    why: str = ""
    alternatives: tuple[str, ...] = ()
    weight_quantisers: tuple[tuple[str, str], ...] = ()
    activation_quantisers: tuple[tuple[str, str], ...] = ()
    quantiser_source: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Published figures that assumed parameters were chosen to match on one architecture; ``note`` says how far.

    A result calibrated on a figure is not a prediction of it, so results carry the note.
    """

    architecture: str
    note: str


@dataclass(frozen=True, slots=True)
class Residual:
    """A skip connection: an add or concat that joins a tensor with one computed from it (see `Graph.residuals`)."""

    op: str
    join: Literal["add", "concat"]
    identity: bool
    span_ops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Dimension:
    """A named dimension of a model's inputs: its size, and the (input, axis) pairs that it stands at."""

    size: int
    axes: tuple[tuple[str, int], ...]
    batch: bool = False


@dataclass(frozen=True)
class Graph:
    """A workload: ops in an order in which each runs after its producers.

    Attributes:
        name: what reports call it.
        ops: in execution order.
        tensors: by name; weights and constants have no producer, nor have ``inputs``.
        inputs, outputs: tensor names.
        batch: samples that one execution computes.
        audio_s: seconds of audio that one execution consumes; None where there is no such thing.
        recipes: named precision recipes by the workload's author.
        parameters_used: generator parameters with their owners, for provenance and sensitivity.
        origin: what `load_workload` makes it from (None: made by hand), and ``overrides``, the parameters given to it.
        dimensions: named dimensions of the model that it was imported from, as they were bound then; see `rebind`.
        calibration: what its assumed parameters were fitted to, if anything.
        rewrites: what was rewritten since, in order.
    """

    name: str
    ops: tuple[Op, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    batch: int = 1
    audio_s: float | None = None
    recipes: Mapping[str, PrecisionRecipe] = field(default_factory=dict)
    parameters_used: Mapping[str, Constant | int | float | str | bool] = field(default_factory=dict)
    origin: str | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    calibration: Calibration | None = None
    rewrites: tuple[RewriteReport, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def walk(self) -> Iterator[tuple[Op, int]]:
        """Every op with how often it runs, loop bodies included; a `Loop` itself is not yielded."""
        for op in self.ops:
            if isinstance(op, Loop):
                for inner, times in op.body.walk():
                    yield inner, times * op.steps
            else:
                yield op, 1

    def all_tensors(self) -> Iterator[Tensor]:
        """Every distinct tensor, those of loop bodies included, once."""
        seen: set[str] = set()
        for graph in self._graphs():
            for tensor in graph.tensors.values():
                if tensor.name not in seen:
                    seen.add(tensor.name)
                    yield tensor

    def _graphs(self) -> Iterator[Graph]:
        yield self
        for op in self.ops:
            if isinstance(op, Loop):
                yield from op.body._graphs()

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one execution."""
        return sum(op.macs for op in self.ops)

    @cached_property
    def parameters(self) -> int:
        """Elements of the distinct weight tensors."""
        return sum(tensor.elements for tensor in self.all_tensors() if tensor.role == "weight")

    @cached_property
    def nonzero_parameters(self) -> int:
        """Parameters that are not known to be zero."""
        zeros = (tensor.sparsity.zeros for tensor in self.all_tensors() if tensor.role == "weight" and tensor.sparsity)
        return self.parameters - sum(zeros)

    @cached_property
    def weight_bytes(self) -> float:
        """Stored bytes of the distinct weight tensors, in their assigned formats (FP32 where none is)."""
        return sum(tensor.bytes for tensor in self.all_tensors() if tensor.role == "weight")

    @cached_property
    def producers(self) -> dict[str, int]:
        """Index of the op that makes each tensor."""
        return {output: index for index, op in enumerate(self.ops) for output in op.outputs}

    @cached_property
    def last_uses(self) -> dict[str, int]:
        """Index of the last op that reads each tensor; graph outputs live to the end."""
        last = {name: index for index, op in enumerate(self.ops) for name in op.inputs}
        return last | {name: len(self.ops) for name in self.outputs}

    @cached_property
    def peak_activation_bytes(self) -> float:
        """Largest sum of the activation and state bytes alive at one op, in the graph's order.

        Graph inputs live from the start to their last use, op outputs from their op to their last use, graph
        outputs to the end; inputs and outputs of an op are alive together and nothing is updated in place.
        """
        alive = sum(self.tensors[name].bytes for name in self.inputs)
        peak = alive
        for index, op in enumerate(self.ops):
            alive += sum(self.tensors[name].bytes for name in op.outputs)
            peak = max(peak, alive)
            ended = {name for name in (*op.inputs, *op.outputs) if self.last_uses.get(name, index) == index}
            alive -= sum(self.tensors[name].bytes for name in ended if self._stored(name))
        return peak

    def _stored(self, name: str) -> bool:
        return name in self.producers or name in self.inputs

    @cached_property
    def residuals(self) -> tuple[Residual, ...]:
        """Skip connections, in op order."""
        from accelsim.workload.residuals import find_residuals

        return find_residuals(self)

    def rewritten(self, *rewrites: str) -> Graph:
        """This graph after ``rewrites`` such as ``fuse`` or ``remove-skips:match=layer2.*``, in order.

        Raises:
            InputError: an unknown rewrite or parameter, or one that finds nothing to change.
        """
        from accelsim.workload.rewrite import rewrite

        return rewrite(self, rewrites)

    def rebind(self, **sizes: int) -> Graph:
        """The same model imported with other sizes of its named ``dimensions``; rewrites are applied again.

        ``batch`` stands for the dimensions called batch, batch_size, N, ...

        Raises:
            InputError: the graph does not come from a model file, or the model does not take the size.
            UnknownNameError: a name that is no dimension of the model.
        """
        from accelsim.workload.rebind import rebound

        return rebound(self, sizes)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the graph to ``path`` (.json, or .yaml for small ones), for `load_workload` to read."""
        from accelsim.workload.interchange import save_graph

        save_graph(self, path)

    def with_tensors(self, tensors: Mapping[str, Tensor], ops: tuple[Op, ...] | None = None) -> Graph:
        """The same graph over other tensors (and ops)."""
        return replace(self, tensors=dict(tensors), ops=self.ops if ops is None else ops)


def _check(graph: Graph) -> None:
    """Order, producers and shapes agree; the first that does not is named."""
    where = f"workload {graph.name}"
    _check_totals(graph, where)
    for name, tensor in graph.tensors.items():
        _check_tensor(name, tensor, where)
    made = set(graph.inputs) | {name for name, tensor in graph.tensors.items() if tensor.role != "activation"}
    producers = {output: op.name for op in graph.ops for output in op.outputs}
    names: set[str] = set()
    for op in graph.ops:
        if op.name in names:
            raise GraphError("stands twice: op names are unique", file=where, field=op.name)
        names.add(op.name)
        for name in (*op.inputs, *op.outputs):
            if name not in graph.tensors:
                raise GraphError(f"names tensor {name!r}, which does not exist", file=where, field=op.name)
        for name in op.inputs:
            if name not in made:
                raise GraphError(_unmade(name, producers), file=where, field=op.name)
        twice = [name for name in op.outputs if producers[name] != op.name]
        if twice:
            raise GraphError(f"makes {twice[0]!r}, as {producers[twice[0]]!r} does", file=where, field=op.name)
        made.update(op.outputs)
        _check_op(op, where)
        _check_shapes(graph, op, where)
    for name in (*graph.inputs, *graph.outputs):
        if name not in graph.tensors or name not in made:
            raise GraphError(f"lists {name!r}, which nothing makes", file=where, field="inputs and outputs")


def _check_totals(graph: Graph, where: str) -> None:
    if not _whole(graph.batch):
        raise GraphError("must be a whole number of 1 or more", file=where, field="batch", value=graph.batch)
    if graph.audio_s is not None and not (isfinite(graph.audio_s) and graph.audio_s > 0):
        raise GraphError("must be positive seconds", file=where, field="audio_s", value=graph.audio_s)


def _check_tensor(name: str, tensor: Tensor, where: str) -> None:
    field = f"tensor {name}"
    if tensor.name != name:
        raise GraphError(f"is listed under the name {name!r}", file=where, field=field, value=tensor.name)
    if not all(_whole(size) for size in tensor.shape):
        rule = f"must have whole sizes from 1 to {MAX_SIZE:.0e}"
        raise GraphError(rule, file=where, field=field, value=tensor.shape)
    if tensor.role not in get_args(Role):
        raise UnknownNameError("role of a tensor", tensor.role, get_args(Role), file=where, field=field)
    if tensor.format is not None and tensor.format not in FORMATS:
        format_named(tensor.format, file=where, field=field)
    if tensor.sparsity is not None and not 0 <= tensor.sparsity.zeros <= tensor.elements:
        rule = f"must be 0 to {tensor.elements}, the elements of the tensor"
        raise GraphError(rule, file=where, field=f"{field}.sparsity.zeros", value=tensor.sparsity.zeros)


_OPERANDS = {MatMul: 2, Conv: 2, Recurrent: 3}
_SIZES: dict[type[Op], tuple[str, ...]] = {
    MatMul: ("groups", "m", "n", "k"),
    Conv: ("batch", "in_channels", "out_channels", "groups"),
    Recurrent: ("steps", "batch", "input_size", "hidden_size", "directions"),
    Loop: ("steps",),
}


def _check_op(op: Op, where: str) -> None:
    """Operands are there, sizes are whole and positive."""
    least = _OPERANDS.get(type(op), 0) + (isinstance(op, Recurrent) and op.projection_size > 0)
    if len(op.inputs) < least or (least and not op.outputs):
        rule = f"has {len(op.inputs)} inputs and {len(op.outputs)} outputs; it needs {least} and 1 or more"
        raise GraphError(rule, file=where, field=op.name)
    for name in _SIZES.get(type(op), ()):
        if not _whole(getattr(op, name)):
            rule = f"must be a whole number from 1 to {MAX_SIZE:.0e}"
            raise GraphError(rule, file=where, field=f"{op.name}.{name}", value=getattr(op, name))
    if isinstance(op, Recurrent) and op.cell not in GATES:
        raise UnknownNameError("recurrent cell", op.cell, GATES, file=where, field=f"{op.name}.cell")


def _whole(size: object) -> bool:
    return isinstance(size, int | np.integer) and not isinstance(size, bool) and bool(1 <= size <= MAX_SIZE)


def _unmade(name: str, producers: dict[str, str]) -> str:
    if name in producers:
        return f"reads {name!r}, which {producers[name]!r} makes only later: the graph has a cycle or is not in order"
    return f"reads {name!r}, which no op makes and which is not an input"


def _check_shapes(graph: Graph, op: Op, where: str) -> None:
    expected: dict[str, int] = {}
    if isinstance(op, MatMul):
        groups_read = 1 if op.shared_input else op.groups
        expected = {op.inputs[0]: groups_read * op.m * op.k, op.outputs[0]: op.groups * op.m * op.n}
        expected[op.inputs[1]] = op.groups * op.k * op.n
    elif isinstance(op, Conv):
        weight = op.in_channels * op.out_channels // op.groups * prod(op.kernel)
        expected = {
            op.inputs[0]: op.batch * op.in_channels * prod(op.input_size),
            op.inputs[1]: weight,
            op.outputs[0]: op.batch * op.out_channels * prod(op.output_size),
        }
    elif isinstance(op, Recurrent):
        rows = op.directions * op.gates * op.hidden_size
        expected = {
            op.inputs[0]: op.steps * op.batch * op.input_size,
            op.inputs[1]: rows * op.input_size,
            op.inputs[2]: rows * op.output_size,
            op.outputs[0]: op.steps * op.batch * op.directions * op.output_size,
        }
        if op.projection_size:
            expected[op.inputs[3]] = op.directions * op.projection_size * op.hidden_size
    elif isinstance(op, Loop):
        for made, read in op.carried:
            if op.body.tensors[made].shape != op.body.tensors[read].shape:
                raise GraphError(f"carries {made!r} into {read!r} of another shape", file=where, field=op.name)
    elif not isinstance(op, Host):
        return
    for name, elements in expected.items():
        tensor = graph.tensors[name]
        if tensor.elements != elements:
            raise GraphError(
                f"needs {elements} elements of {name!r}, whose shape {tensor.shape} has {tensor.elements}",
                file=where,
                field=op.name,
            )

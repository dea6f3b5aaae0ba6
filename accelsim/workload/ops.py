"""The typed ops of a workload graph.

Every op says what it costs in machine-independent terms: multiply-accumulates, or element operations.
An op names its tensors; the graph holds them. Shapes in docstrings are those of the named tensors.

MACs count the multiplies of matrix work only; bias adds, activations, normalisation, pooling and gate
arithmetic count 0 there and are vector work instead (the rule of the field's counters).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelsim.workload.graph import Graph

__all__ = ["Contraction", "Conv", "Elementwise", "Host", "Loop", "MatMul", "Move", "Op", "Recurrent", "Reduce"]

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True, slots=True)
class Contraction:
    """The loop nest of matrix work: ``groups`` independent products (m x k) by (k x n).

    ``input_*`` say how m maps to stored input, so that a convolution's overlapping windows are read once:
    one output row is ``row_outputs`` values of m, needs ``kernel_rows`` input rows and advances by
    ``row_stride``; an input row stores ``row_elements`` values for each of the ``k / kernel_size`` channels.
    For a plain matrix product all of these are 1.
    """

    groups: int
    m: int
    n: int
    k: int
    row_outputs: int = 1
    row_stride: int = 1
    row_elements: int = 1
    kernel_rows: int = 1
    kernel_size: int = 1

    @property
    def macs(self) -> int:
        return self.groups * self.m * self.n * self.k


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """Base of all ops. ``inputs`` and ``outputs`` are tensor names; ``label`` is the op type in the source model."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    label: str = ""

    @property
    def macs(self) -> int:
        return 0

    @property
    def kind(self) -> str:
        """The op's kind in lower case, as reports show it."""
        return type(self).__name__.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul(Op):
    """``groups`` independent products: inputs[0] holds (groups, m, k), inputs[1] (groups, k, n), output (groups, m, n).

    inputs[2], when present, is a bias over n. inputs[1] is a weight or another activation.
    With ``shared_input`` all groups read one (m, k) input.
    """

    groups: int = 1
    m: int
    n: int
    k: int
    shared_input: bool = False

    @property
    def macs(self) -> int:
        return self.contraction.macs

    @property
    def contraction(self) -> Contraction:
        return Contraction(self.groups, self.m, self.n, self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(Op):
    """A convolution of 1 to 3 spatial dimensions as an implicit matrix product.

    inputs: (batch, in_channels, *input_size), weight (out_channels, in_channels / groups, *kernel), optional
    bias (out_channels,); output (batch, out_channels, *output_size). A transposed convolution has weight
    (in_channels, out_channels / groups, *kernel) and counts every product of an input with its kernel,
    cropped borders included. ``padding`` has one value an axis; where the two sides of an axis differ, it has
    all beginnings and then all ends.
    """

    batch: int
    in_channels: int
    out_channels: int
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False

    @property
    def macs(self) -> int:
        return self.contraction.macs

    @property
    def contraction(self) -> Contraction:
        taps = prod(self.kernel)
        group_in, group_out = self.in_channels // self.groups, self.out_channels // self.groups
        if self.transposed:
            # Each input pixel makes group_out * taps products a channel: a matrix product followed by overlapping adds.
            return Contraction(self.groups, self.batch * prod(self.input_size), group_out * taps, group_in)
        inner_out, inner_in = prod(self.output_size[1:]), prod(self.input_size[1:])
        dilation = self.dilation[0] if self.dilation else 1
        return Contraction(
            self.groups,
            self.batch * prod(self.output_size),
            group_out,
            group_in * taps,
            row_outputs=inner_out,
            row_stride=self.stride[0],
            row_elements=inner_in,
            kernel_rows=(self.kernel[0] - 1) * dilation + 1,
            kernel_size=taps,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent(Op):
    """An LSTM, GRU or plain recurrent layer over ``steps`` time steps, in one or two directions.

    inputs: sequence (steps, batch, input_size); weight (directions, gates * hidden, input_size); recurrent
    weight (directions, gates * hidden, hidden); optional bias. outputs[0]: (steps, batch, directions * hidden).
    The two directions run at the same time where the machine allows.

    With a ``projection_size`` P the output and the state that recurs are P wide instead of hidden (Sak et al. 2014,
    arXiv 1402.1128): the recurrent weight is (directions, gates * hidden, P), and inputs[3] is the projection
    (directions, P, hidden).
    """

    cell: str
    steps: int
    batch: int
    input_size: int
    hidden_size: int
    directions: int = 1
    projection_size: int = 0

    @property
    def gates(self) -> int:
        return GATES[self.cell]

    @property
    def output_size(self) -> int:
        """Width of the state that recurs, and of the output of one direction."""
        return self.projection_size or self.hidden_size

    @property
    def macs(self) -> int:
        per_step = self.gates * self.hidden_size * (self.input_size + self.output_size)
        per_step += self.hidden_size * self.projection_size
        return self.directions * self.steps * self.batch * per_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise(Op):
    """``elements`` results of ``function``, one at a time: add, mul, relu, sigmoid, tanh, exp, lstm_cell, ..."""

    function: str
    elements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce(Op):
    """``elements`` values read and combined: softmax, log_softmax, layer_norm, max_pool, mean, sum, top_k, ..."""

    function: str
    elements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Op):
    """Data that changes place and not value: ``elements`` written by gather, concat, slice, transpose, pad, ...

    A ``view`` (reshape, squeeze, identity) shares its input's storage and moves nothing.
    """

    function: str
    elements: int
    view: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Op):
    """Work that the host does between two steps of the accelerator, after a round trip over the host link.

    ``elements`` values go to the host; ``seconds`` is the host's own time.
    """

    elements: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(Op):
    """``steps`` executions of ``body``, one after the other.

    ``carried`` pairs (tensor the body makes, tensor it reads in the next step). Tensors that the body reads and
    does not make come from outside or are weights; weights are the same in each step.
    """

    body: Graph
    steps: int
    carried: tuple[tuple[str, str], ...] = ()

    @property
    def macs(self) -> int:
        return self.steps * self.body.macs

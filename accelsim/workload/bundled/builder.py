"""Writing a graph op by op: shapes follow from what an op reads, so that a generator states each size once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from accelsim.workload.graph import Graph, Role, Tensor
from accelsim.workload.ops import GATES, Conv, Elementwise, Host, Loop, MatMul, Move, Op, Recurrent, Reduce

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """Ops and tensors of one graph while it is written. Each op method returns the name of the op's first output.

    Args:
        suffix: ends the name of every activation; `step_slice("")` for a loop body whose step makes one slice of
            an outer tensor.
    """

    def __init__(self, suffix: str = "") -> None:
        self.suffix = suffix
        self.ops: list[Op] = []
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[str] = []

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the tensor called ``name``."""
        return self.tensors[name].shape

    def tensor(self, name: str, shape: Sequence[int], role: Role = "activation") -> str:
        """Declare a tensor."""
        self.tensors[name] = Tensor(name, tuple(shape), role)
        return name

    def input(self, name: str, shape: Sequence[int], role: Role = "activation") -> str:
        """Declare a tensor that comes from outside of the graph."""
        self.inputs.append(name)
        return self.tensor(name, shape, role)

    def matmul(self, name: str, source: str, n: int, *, bias: bool = True) -> str:
        """(..., k) times a weight (k, n), plus a bias (n,)."""
        *outer, k = self.shape(source)
        reads = [source, self.tensor(f"{name}.weight", (k, n), "weight")]
        if bias:
            reads.append(self.tensor(f"{name}.bias", (n,), "weight"))
        made = self._made(name, (*outer, n))
        self.ops.append(MatMul(name=name, inputs=tuple(reads), outputs=(made,), m=prod(outer), n=n, k=k))
        return made

    def lstm(
        self,
        name: str,
        source: str,
        hidden_size: int,
        *,
        directions: int = 1,
        bias_vectors: int = 2,
        states: tuple[str, str] | None = None,
    ) -> str:
        """An LSTM layer over (steps, batch, input_size).

        ``states`` are the h and c (directions, batch, hidden_size) to start from; the next ones are then the
        op's outputs ``{name}.h_next`` and ``{name}.c_next``. PyTorch keeps two bias vectors a gate.
        """
        steps, batch, input_size = self.shape(source)
        rows = GATES["lstm"] * hidden_size
        reads = [
            source,
            self.tensor(f"{name}.weight", (directions, rows, input_size), "weight"),
            self.tensor(f"{name}.recurrent_weight", (directions, rows, hidden_size), "weight"),
            self.tensor(f"{name}.bias", (directions, bias_vectors * rows), "weight"),
        ]
        made = [self._made(name, (steps, batch, directions * hidden_size))]
        if states:
            reads.extend(states)
            state_shape = (directions, batch, hidden_size)
            made += [self.tensor(f"{name}.{which}_next{self.suffix}", state_shape) for which in "hc"]
        op = Recurrent(
            name=name, inputs=tuple(reads), outputs=tuple(made), cell="lstm", steps=steps, batch=batch,
            input_size=input_size, hidden_size=hidden_size, directions=directions,
        )  # fmt: skip
        self.ops.append(op)
        return made[0]

    def conv(
        self,
        name: str,
        source: str,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> str:
        """A convolution of (batch, channels, height, width); one number is a square."""
        batch, in_channels, *size = self.shape(source)
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        edges = (padding, padding) if isinstance(padding, int) else padding
        spans = zip(size, sides, edges, strict=True)
        out_size = tuple((side + 2 * edge - dilation * (taps - 1) - 1) // stride + 1 for side, taps, edge in spans)
        reads = [source, self.tensor(f"{name}.weight", (out_channels, in_channels // groups, *sides), "weight")]
        if bias:
            reads.append(self.tensor(f"{name}.bias", (out_channels,), "weight"))
        made = self._made(name, (batch, out_channels, *out_size))
        op = Conv(
            name=name, inputs=tuple(reads), outputs=(made,), batch=batch, in_channels=in_channels,
            out_channels=out_channels, input_size=tuple(size), output_size=out_size, kernel=sides,
            stride=(stride, stride), padding=edges, dilation=(dilation, dilation), groups=groups,
        )  # fmt: skip
        self.ops.append(op)
        return made

    def elementwise(self, name: str, function: str, *sources: str) -> str:
        """One result an element of the first source."""
        made = self._made(name, self.shape(sources[0]))
        elements = prod(self.shape(made))
        self.ops.append(Elementwise(name=name, inputs=sources, outputs=(made,), function=function, elements=elements))
        return made

    def reduce(
        self, name: str, function: str, source: str, shape: Sequence[int] | None = None, elements: int | None = None
    ) -> str:
        """``elements`` values (the source's) combined into ``shape`` (the source's)."""
        made = self._made(name, self.shape(source) if shape is None else shape)
        read = prod(self.shape(source)) if elements is None else elements
        self.ops.append(Reduce(name=name, inputs=(source,), outputs=(made,), function=function, elements=read))
        return made

    def move(
        self, name: str, function: str, sources: Sequence[str], *shapes: Sequence[int], view: bool = False
    ) -> tuple[str, ...]:
        """Data moved into one new tensor for each of ``shapes``."""
        names = [name] if len(shapes) == 1 else [f"{name}.{i}" for i in range(len(shapes))]
        made = tuple(self._made(each, shape) for each, shape in zip(names, shapes, strict=True))
        elements = sum(prod(shape) for shape in shapes)
        op = Move(name=name, inputs=tuple(sources), outputs=made, function=function, elements=elements, view=view)
        self.ops.append(op)
        return made

    def host(self, name: str, source: str, shape: Sequence[int], seconds: float) -> str:
        """The source goes to the host, which takes ``seconds`` and returns a tensor of ``shape``."""
        made = self._made(name, shape)
        elements = prod(self.shape(source))
        self.ops.append(Host(name=name, inputs=(source,), outputs=(made,), elements=elements, seconds=seconds))
        return made

    def loop(
        self, name: str, sources: Iterable[str], made: Iterable[str], body: Graph, steps: int,
        carried: Iterable[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        """``steps`` executions of ``body``; ``made`` (already declared) pair with the body's outputs by position."""
        op = Loop(name=name, inputs=tuple(sources), outputs=tuple(made), body=body, steps=steps, carried=tuple(carried))
        self.ops.append(op)

    def graph(
        self,
        name: str,
        outputs: Iterable[str],
        *,
        batch: int = 1,
        audio_s: float | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> Graph:
        """The finished graph; ``figures`` are derived numbers that reports show beside the parameters."""
        return Graph(
            name=name, ops=tuple(self.ops), tensors=self.tensors, inputs=tuple(self.inputs), outputs=tuple(outputs),
            batch=batch, audio_s=audio_s, parameters_used=dict(figures or {}),
        )  # fmt: skip

    def _made(self, name: str, shape: Sequence[int]) -> str:
        return self.tensor(f"{name}.output{self.suffix}", shape)

"""What calls of torch mean: sizes against torch itself, work against its own counter or counting by hand."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim import simulate
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.ops import GATES, Conv, Elementwise, MatMul, Move, Op, Recurrent, Reduce
from tests.workload.torch_models import Function, counted_macs, imported, torch

CALM = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
nn = torch.nn
functional = torch.nn.functional


def only(graph: Graph, kind: type[Op]) -> Any:
    found = [op for op in graph.ops if isinstance(op, kind)]
    assert len(found) == 1, found
    return found[0]


def parameters(module: Any) -> int:
    return sum(each.numel() for each in module.parameters())


CONVOLUTIONS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: nn.Conv1d(3, 5, 4), (2, 3, 17)),
    (lambda: nn.Conv2d(3, 4, 3, padding=1, stride=(2, 1)), (1, 3, 9, 12)),
    (lambda: nn.Conv2d(6, 6, 3, groups=6, padding=(0, 2)), (1, 6, 9, 9)),
    (lambda: nn.Conv2d(6, 8, 3, groups=2, dilation=(2, 3)), (1, 6, 9, 9)),
    (lambda: nn.Conv2d(3, 4, (2, 4), padding="same"), (1, 3, 10, 11)),
    (lambda: nn.Conv2d(3, 4, 3, padding="valid", bias=False), (1, 3, 10, 11)),
    (lambda: nn.Conv3d(2, 3, (2, 3, 2), stride=(1, 2, 3)), (1, 2, 5, 6, 7)),
    (lambda: nn.Conv1d(3, 5, 4), (3, 17)),
    (lambda: nn.ConvTranspose1d(4, 4, 3, stride=2), (1, 4, 7)),
    (lambda: nn.ConvTranspose2d(4, 6, 2, stride=2, padding=1, output_padding=1), (1, 4, 6, 5)),
    (lambda: nn.ConvTranspose2d(4, 4, (4, 3), groups=2, stride=(2, 3), dilation=2), (1, 4, 6, 5)),
]


@pytest.mark.parametrize(("make", "shape"), CONVOLUTIONS)
def test_convolution(make: Any, shape: tuple[int, ...]) -> None:
    module, x = make().eval(), torch.randn(shape)
    graph = imported(module, x)
    op = only(graph, Conv)
    assert graph.macs == counted_macs(module, (x,))
    assert graph.parameters == parameters(module)
    assert op.transposed == ("Transpose" in type(module).__name__)
    if not op.transposed:
        pads = op.padding * 2 if len(op.padding) == len(op.kernel) else op.padding
        for axis, size in enumerate(op.output_size):
            room = op.input_size[axis] + pads[axis] + pads[axis + len(op.kernel)]
            assert size == (room - op.dilation[axis] * (op.kernel[axis] - 1) - 1) // op.stride[axis] + 1


@CALM
@given(data=st.data())
def test_matmul_broadcasts_like_torch(data: st.DataObject) -> None:
    """Any batch axes, either side stored or neither; the product costs its output times K."""
    sizes = st.sampled_from([1, 2, 3])
    full = data.draw(st.lists(sizes, max_size=3))
    k, stored = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([None, "left", "right"]))
    left, right = (
        [*(size if data.draw(st.booleans()) else 1 for size in full)][data.draw(st.integers(0, 3)) :] for _ in range(2)
    )
    left += [k] if data.draw(st.booleans()) and not left else [data.draw(sizes), k]
    right += [k] if data.draw(st.booleans()) and not right else [k, data.draw(sizes)]
    a, b = torch.randn(left), torch.randn(right)

    class Product(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(a if stored == "left" else b)

        def forward(self, x: Any, y: Any) -> Any:
            return torch.matmul(self.weight if stored == "left" else x, self.weight if stored == "right" else y)

    graph = imported(Product(), a, b)
    out = torch.matmul(a, b)
    assert graph.tensors[graph.outputs[0]].shape == tuple(out.shape)
    assert graph.macs == out.numel() * k
    assert isinstance(graph.ops[-1], MatMul)
    assert all(isinstance(op, Move) for op in graph.ops[:-1])


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (torch.mm, [(3, 4), (4, 5)]),
        (torch.bmm, [(2, 3, 4), (2, 4, 5)]),
        (torch.mv, [(3, 4), (4,)]),
        (torch.dot, [(4,), (4,)]),
        (torch.addmm, [(5,), (3, 4), (4, 5)]),
        (torch.addmm, [(3, 5), (3, 4), (4, 5)]),
        (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
        (functional.linear, [(2, 3, 4), (5, 4), (5,)]),
        (functional.linear, [(4,), (5, 4)]),
        (lambda x, y: torch.tensordot(x, y, dims=([1, 2], [0, 1])), [(2, 3, 4), (3, 4, 5)]),
    ],
)
def test_products(function: Any, shapes: list[tuple[int, ...]]) -> None:
    inputs = tuple(torch.randn(shape) for shape in shapes)
    graph = imported(Function(function), *inputs)
    left, right = shapes[-2:] if len(shapes) < 3 or function is not functional.linear else shapes[:2]
    if function is functional.linear:
        assert graph.macs == prod(left) * right[0]
    else:
        out = function(*inputs)
        assert graph.macs == out.numel() * (
            12 if len(shapes[0]) == 3 and len(shapes[-1]) == 3 and out.dim() == 2 else 4
        )


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", [(2, 3), (3, 5)], 30),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)], 2 * 3 * 4 * 6 * 5),
        ("...ij,...jk", [(2, 7, 3, 4), (7, 4, 5)], 2 * 7 * 3 * 4 * 5),
        ("bi,bi->b", [(3, 4), (3, 4)], 12),
        ("i,j->ij", [(3,), (4,)], 12),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
        ("ijx,jk->ik", [(2, 3, 6), (3, 5)], 30),
        ("nchw->nhwc", [(1, 2, 3, 4)], 0),
        ("ij->i", [(3, 4)], 0),
        ("bhi,bhj->bhij", [(2, 3, 4), (2, 3, 5)], 2 * 3 * 4 * 5),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]], macs: int) -> None:
    inputs = tuple(torch.randn(shape) for shape in shapes)
    module = Function(lambda *each: torch.einsum(equation, *each))
    graph = imported(module, *inputs)
    assert graph.macs == macs
    assert graph.tensors[graph.outputs[0]].shape == tuple(module(*inputs).shape)


CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}


@pytest.mark.parametrize(("layer", "projected"), [("LSTM", 0), ("LSTM", 2), ("GRU", 0), ("RNN", 0)])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("states", [False, True])
def test_recurrent(layer: str, projected: int, layers: int, bidirectional: bool, states: bool) -> None:
    """gates H (I + P) + H P a step and direction; P is H where nothing is projected, and then there is no last term."""
    options = {"proj_size": projected} if projected else {}
    module = getattr(nn, layer)(3, 4, layers, bidirectional=bidirectional, batch_first=True, **options).eval()
    directions, width = 1 + bidirectional, projected or 4
    h = torch.randn(layers * directions, 5, width)
    given_states = ((h, torch.randn(layers * directions, 5, 4)) if layer == "LSTM" else h,) if states else ()
    graph = imported(module, torch.randn(5, 6, 3), *given_states)
    ops = [op for op in graph.ops if isinstance(op, Recurrent)]
    assert [op.cell for op in ops] == [CELLS[layer]] * layers
    gates = GATES[CELLS[layer]]
    macs = sum(
        directions * 6 * 5 * (gates * 4 * (size + width) + 4 * projected)
        for size in [3] + [directions * width] * (layers - 1)
    )
    assert graph.macs == expanded(graph).macs == macs
    assert graph.parameters == expanded(graph).parameters == parameters(module)
    assert graph.tensors[graph.outputs[0]].shape == (5, 6, directions * width)
    assert {tensor.shape for tensor in graph.tensors.values() if tensor.role == "state"} == (
        {tuple(each.shape) for each in (given_states[0] if layer == "LSTM" else given_states)} if states else set()
    )


@pytest.mark.parametrize("steps", [1, 7])
def test_projected_recurrent_runs(steps: int) -> None:
    module = nn.LSTM(32, 64, 2, proj_size=16, bidirectional=True).eval()
    result = simulate(imported(module, torch.randn(steps, 2, 32)), "rapid-4core", intervals=False)
    assert result.check()
    assert result.macs == result.evaluation.workload.macs


@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(cell: str) -> None:
    module = getattr(nn, cell)(3, 4)
    state = torch.randn(2, 4)
    graph = imported(module, torch.randn(2, 3), (state, torch.randn(2, 4)) if cell == "LSTMCell" else state)
    op = only(graph, Recurrent)
    assert (op.steps, op.batch) == (1, 2)
    assert graph.macs == 2 * GATES[op.cell] * 4 * (3 + 4)
    assert graph.parameters == parameters(module)
    assert expanded(graph).macs == graph.macs


@pytest.mark.parametrize("mask", ["none", "causal", "bool", "float"])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (4, 2)])
def test_attention(mask: str, heads: int, key_heads: int) -> None:
    """Two products, a softmax of every score, and a mask where one is given."""
    query, key, value = torch.randn(2, heads, 5, 8), torch.randn(2, key_heads, 7, 8), torch.randn(2, key_heads, 7, 6)
    masks = {"bool": torch.ones(5, 7, dtype=torch.bool), "float": torch.randn(2, 1, 5, 7)}

    def attend(*inputs: Any) -> Any:
        given_mask = inputs[3] if len(inputs) > 3 else None
        return functional.scaled_dot_product_attention(
            *inputs[:3], attn_mask=given_mask, is_causal=mask == "causal", enable_gqa=heads != key_heads
        )

    inputs = (query, key, value, *((masks[mask],) if mask in masks else ()))
    graph = imported(Function(attend), *inputs)
    assert graph.macs == 2 * heads * 5 * 7 * (8 + 6) == counted_macs(Function(attend), inputs)
    assert only(graph, Reduce).elements == 2 * heads * 5 * 7
    functions = [op.function for op in graph.ops if isinstance(op, Elementwise)]
    assert functions == ["mul", *{"causal": ["where"], "bool": ["where"], "float": ["add"]}.get(mask, [])]


def test_multi_head_attention_keeps_its_parameters() -> None:
    """Also for cross attention, which reads its packed projection in two parts."""
    module = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x, y = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    for inputs in ((x, x, x), (x, y, y)):
        graph = imported(module, *inputs)
        assert graph.parameters == parameters(module)
        assert graph.macs == counted_macs(module, inputs)


class Twice(nn.Module):  # type: ignore[misc,name-defined]
    """A weight read whole, and in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 4))

    def forward(self, x: Any) -> Any:
        return functional.linear(x, self.weight), functional.linear(x, self.weight[:3])


def test_a_weight_counts_once() -> None:
    graph = imported(Twice(), torch.randn(2, 4))
    assert graph.parameters == 24
    assert graph.macs == 2 * 4 * (6 + 3)


def test_tied_weights_count_once() -> None:
    class Tied(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 4), nn.Linear(4, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens: Any) -> Any:
            return self.head(self.embed(tokens))

    graph = imported(Tied(), torch.ones(3, dtype=torch.long))
    assert graph.parameters == 44
    assert [tensor.name for tensor in graph.tensors.values() if tensor.role == "weight"] == ["embed.weight"]


def test_elements_of_vector_work() -> None:
    def forward(x: Any) -> Any:
        pooled = functional.max_pool2d(torch.relu(x) + x, 3, stride=2)
        mean = functional.adaptive_avg_pool2d(torch.softmax(pooled, 1), (2, 3))
        return torch.cat([mean.clamp(min=0).mean((2, 3)), mean[:, :, 0, 0]], 1).transpose(0, 1).reshape(-1)

    graph = imported(Function(forward), torch.randn(2, 3, 9, 9))
    work = [(op.function, op.elements) for op in graph.ops if isinstance(op, Elementwise | Reduce)]
    assert work == [
        ("relu", 486),
        ("add", 486),
        ("max_pool", 2 * 3 * 4 * 4 * 9),
        ("softmax", 96),
        ("average_pool", 2 * 3 * (2 + 2) * (2 + 2 + 2)),  # four rows in two, four columns in three windows of two
        ("clip", 36),
        ("reduce_mean", 36),
    ]
    moves = {op.function: op.view for op in graph.ops if isinstance(op, Move)}
    assert moves == {"slice": True, "concat": False, "transpose": True, "copy": False}


@CALM
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), permutation=st.randoms(), wanted=st.data(),
    expand=st.booleans(),
)  # fmt: skip
def test_a_reshape_copies_where_torch_copies(
    shape: list[int], permutation: Any, wanted: st.DataObject, expand: bool
) -> None:
    from accelsim.workload.torch.views import viewable

    axes = list(range(len(shape)))
    permutation.shuffle(axes)
    tensor = torch.empty(shape, device="meta").permute(axes)
    if expand:
        tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
    elements, target = tensor.numel(), []
    while elements > 1 and len(target) < 5:
        target.append(wanted.draw(st.sampled_from([each for each in range(1, elements + 1) if elements % each == 0])))
        elements //= target[-1]
    target.append(elements)
    try:
        tensor.view(target)
        allowed = True
    except RuntimeError:
        allowed = False
    assert viewable(tuple(tensor.shape), tuple(tensor.stride()), tuple(target)) == allowed


def test_writes_in_place_and_through_views() -> None:
    """What is read after a write is what was written; only the part that is written moves."""

    def forward(x: Any, y: Any) -> Any:
        whole = x * 2
        early = whole[:, 1]
        whole[:, 0] = y
        whole[:, 1:3] += 1
        return torch.sigmoid(early), whole.relu_()

    graph = imported(Function(forward), torch.randn(4, 5), torch.randn(4))
    kinds = [(op.kind, getattr(op, "function", ""), getattr(op, "elements", 0)) for op in graph.ops]
    assert ("move", "scatter", 4) in kinds
    assert ("elementwise", "add", 8) in kinds
    assert ("move", "scatter", 8) in kinds
    sigmoid = next(op for op in graph.ops if getattr(op, "function", "") == "sigmoid")
    reached, waiting = set(), [sigmoid.inputs[0]]
    producers = {output: op for op in graph.ops for output in op.outputs}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting.extend(producers[name].inputs if name in producers else ())
    assert set(graph.inputs) <= reached  # the early view sees the later writes


def test_state_that_a_program_keeps() -> None:
    class Cache(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.zeros(1, 8, 4))

        def forward(self, x: Any) -> Any:
            self.cache[:, 2:3] = x
            return (self.cache * 2).sum()

    graph = imported(Cache(), torch.randn(1, 1, 4))
    assert graph.tensors["cache"].role == "state"
    assert graph.parameters == 0
    assert len(graph.outputs) == 2  # the sum, and what the cache becomes
    assert graph.tensors[graph.outputs[1]].shape == (1, 8, 4)


def test_what_depends_on_no_data_is_free() -> None:
    class Positions(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(16, 4)
            self.register_buffer("frequencies", torch.randn(4))

        def forward(self, x: Any) -> Any:
            positions = torch.arange(x.shape[1], device=x.device)
            angle = torch.sin(positions[:, None] * self.frequencies)
            mask = torch.ones(x.shape[1], x.shape[1]).tril()
            return (x + self.table(positions)) * angle, mask @ x

    graph = imported(Positions(), torch.randn(2, 5, 4))
    assert [op.kind for op in graph.ops] == ["move", "elementwise", "elementwise", "matmul"]
    assert graph.parameters == 64  # the whole table: its rows are gathered at each run


def test_normalisation_statistics_are_parameters() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    assert imported(module, torch.randn(1, 3, 5, 5)).parameters == parameters(module) + 8


def test_half_precision_is_stored_as_half() -> None:
    graph = imported(nn.Linear(4, 6).to(torch.bfloat16), torch.randn(2, 4, dtype=torch.bfloat16))
    assert graph.weight_bytes == 2 * (24 + 6)
    assert {tensor.format for tensor in graph.tensors.values()} == {"bf16"}


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.RMSNorm(4), nn.InstanceNorm1d(4, affine=True)]
)
def test_normalisations(norm: Any) -> None:
    graph = imported(norm, torch.randn(4, 4, 4) if not isinstance(norm, nn.InstanceNorm1d) else torch.randn(2, 4, 8))
    assert only(graph, Reduce).elements == 64
    assert graph.parameters == parameters(norm)


def test_every_registered_function_has_a_cost() -> None:
    """No converter names a function that the vector units do not know."""
    from accelsim.workload.torch import ops_vector
    from accelsim.workload.vector_work import element_work

    functions = {
        *ops_vector._ELEMENTWISE.values(), *ops_vector._REDUCE.values(), *ops_vector._NORMS.values(),
        *ops_vector._INTERPOLATIONS.values(), "sort", "sub", "pow", "sqrt", "batch_norm", "cosine_similarity",
    }  # fmt: skip
    for function in functions:
        op = Elementwise(name="x", inputs=(), outputs=(), function=function, elements=1)
        assert element_work(op) != (0, 0)

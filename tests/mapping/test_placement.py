"""Where tensors live."""

from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapping.placement import aliases, live_bytes, place_activations, resident_choices
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Elementwise, Move


def chain(sizes, *, skip=False):
    """x -> t0 -> t1 -> ... -> y; with ``skip`` the last op also reads t0."""
    names = [f"t{i}" for i in range(len(sizes))]
    tensors = {name: Tensor(name, (size,)) for name, size in zip(names, sizes, strict=True)}
    tensors |= {"x": Tensor("x", (10,)), "y": Tensor("y", (10,))}
    ops, before = [], "x"
    for name in [*names, "y"]:
        inputs = (before, names[0]) if skip and name == "y" else (before,)
        ops.append(Elementwise(name=f"op_{name}", inputs=inputs, outputs=(name,), function="relu", elements=10))
        before = name
    return Graph("chain", tuple(ops), tensors, ("x",), ("y",))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.integers(0, 1000), st.booleans())
def test_what_is_kept_fits_at_every_op(sizes, budget, skip):
    graph = chain(sizes, skip=skip)
    kept = place_activations(graph, budget)
    assert max(live_bytes(graph, kept)) <= budget
    assert "x" not in kept
    assert "y" not in kept


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_everything_stays_when_there_is_room(sizes):
    assert place_activations(chain(sizes), 1e9) == {f"t{i}" for i in range(len(sizes))}


def test_a_skip_is_held_until_its_last_use():
    graph = chain([100, 10, 10], skip=True)
    assert live_bytes(graph, {"t0"}) == [400.0] * 4


def test_views_share_storage():
    tensors = {name: Tensor(name, (4,)) for name in "xabcy"}
    ops = (
        Elementwise(name="make", inputs=("x",), outputs=("a",), function="relu", elements=4),
        Move(name="view", inputs=("a",), outputs=("b",), function="reshape", elements=4, view=True),
        Elementwise(name="use", inputs=("b",), outputs=("c",), function="relu", elements=4),
        Elementwise(name="end", inputs=("c",), outputs=("y",), function="relu", elements=4),
    )
    graph = Graph("views", ops, tensors, ("x",), ("y",))
    assert aliases(graph) == {"b": "a"}
    assert live_bytes(graph, {"a", "b"}) == [16.0, 16.0, 16.0, 0.0]


SIZES = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 50), max_size=14)


@given(SIZES, st.integers(0, 200))
def test_resident_choices_fit_and_a_larger_room_only_adds_some(sizes, room):
    choices = resident_choices(sizes, room)
    more = resident_choices(sizes, room * 1.3 + 5)
    assert all(sum(sizes[name] for name in kept) <= room for kept in choices)
    assert all(len(set(kept)) == len(kept) for kept in choices)
    assert {frozenset(kept) for kept in choices} <= {frozenset(kept) for kept in more}
    if sizes and sum(sizes.values()) <= room:
        assert set(choices[0]) == set(sizes)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.integers(0, 600), st.booleans())
def test_a_larger_budget_keeps_whatever_a_smaller_one_keeps(sizes, budget, skip):
    graph = chain(sizes, skip=skip)
    assert place_activations(graph, budget) <= place_activations(graph, budget * 1.5)

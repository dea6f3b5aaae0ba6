"""Where tensors live: which activations stay in the scratchpads, which weights stay there through a loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from accelsim.workload.graph import Graph
from accelsim.workload.ops import Elementwise, Loop, Move, Op
from accelsim.workload.vector_work import FOLDED

__all__ = [
    "activation_needs",
    "aliases",
    "cached_states",
    "is_view",
    "lifetimes",
    "live_bytes",
    "pinned_choices",
    "place_activations",
    "read_whole",
    "resident_choices",
    "spilled_states",
    "step_bytes",
]

_SETS_OF = 10
_LEAST_PINNED_BYTES = 65536


def is_view(op: Op) -> bool:
    """Whether the op moves and computes nothing: its output is its input under another name."""
    return (isinstance(op, Move) and op.view) or (isinstance(op, Elementwise) and op.function == FOLDED)


def read_whole(graph: Graph) -> frozenset[str]:
    """Tensors that some op reads from end to end: not gathered from, not folded into another op or idle in a view."""
    return frozenset(name for op, _ in graph.walk() if op.kind != "move" and not is_view(op) for name in op.inputs)


def aliases(graph: Graph) -> dict[str, str]:
    """For each output of a view, the tensor whose storage it shares."""
    roots: dict[str, str] = {}
    for op in graph.ops:
        if is_view(op) and op.inputs:
            source = roots.get(op.inputs[0], op.inputs[0])
            if graph.tensors[source].role in ("activation", "state"):
                roots.update(dict.fromkeys(op.outputs, source))
    return roots


def lifetimes(graph: Graph, roots: Mapping[str, str] | None = None) -> dict[str, tuple[int, int]]:
    """(first, last) op index of each stored activation; graph outputs live to the end. ``roots`` are the `aliases`."""
    roots = aliases(graph) if roots is None else roots
    lives: dict[str, tuple[int, int]] = {}
    for name, made in graph.producers.items():
        root = roots.get(name, name)
        last = graph.last_uses.get(name, made)
        first, end = lives.get(root, (made, made))
        lives[root] = (min(first, made), max(end, last))
    return lives


def activation_needs(graph: Graph) -> dict[str, float]:
    """For each activation that may stay on chip, the budget from which on it does.

    It is that of all activations that are no larger and alive with it. Small ones come first, because they save most
    round trips for their room; counting them whether they are kept or not makes a larger budget keep whatever a smaller
    one keeps. Graph inputs arrive in DRAM and graph outputs leave through it, so neither is a candidate.
    """
    roots = aliases(graph)
    held = [0.0] * (len(graph.ops) + 1)
    outside = {roots.get(name, name) for name in (*graph.inputs, *graph.outputs)}
    lives = lifetimes(graph, roots)
    inside = [name for name in lives if name not in outside and graph.tensors[name].role in ("activation", "state")]
    needs: dict[str, float] = {}
    for name in sorted(inside, key=lambda name: (graph.tensors[name].bytes, lives[name])):
        first, last = lives[name]
        size = graph.tensors[name].bytes
        held[first : last + 1] = [taken + size for taken in held[first : last + 1]]
        needs[name] = max(held[first : last + 1])
    return needs | {name: needs[root] for name, root in roots.items() if root in needs}


def place_activations(
    graph: Graph, budget_bytes: float, needs: Mapping[str, float] | None = None
) -> frozenset[str]:  # fmt: skip
    """Activations that stay on chip with ``budget_bytes``; ``needs`` are the `activation_needs` if known."""
    needs = activation_needs(graph) if needs is None else needs
    return frozenset(name for name, need in needs.items() if need <= budget_bytes)


def live_bytes(graph: Graph, names: Iterable[str]) -> list[float]:
    """Bytes of the activations ``names`` alive at each op."""
    roots = aliases(graph)
    kept = {roots.get(name, name) for name in names}
    held = [0.0] * (len(graph.ops) + 1)
    for name, (first, last) in lifetimes(graph, roots).items():
        if name in kept:
            size = graph.tensors[name].bytes
            held[first : last + 1] = [taken + size for taken in held[first : last + 1]]
    return held[: len(graph.ops)]


def step_bytes(body: Graph, spilled: frozenset[str] = frozenset()) -> float:
    """Scratchpad that one step of a loop body needs for its activations and carried states, those ``spilled`` aside."""
    states = {t.name for t in body.tensors.values() if t.role == "state" and t.name not in body.producers}
    held = (states | set(body.inputs)) - spilled
    live = max(live_bytes(body, set(body.producers) - spilled), default=0.0)
    inner = max((step_bytes(op.body, spilled) for op in body.ops if isinstance(op, Loop)), default=0.0)
    return live + sum(body.tensors[name].bytes for name in held) + inner


def cached_states(graph: Graph) -> frozenset[str]:
    """Key-value caches: states of loops that a step extends in place, and the tensors that become them."""
    found: set[str] = set()
    for op in graph.ops:
        if isinstance(op, Loop):
            makers = op.body.producers
            for pair in op.carried:
                maker = op.body.ops[makers[pair[0]]] if pair[0] in makers else None
                if maker is not None and is_view(maker) and maker.inputs[0] == pair[1]:
                    found |= set(pair)
            found |= cached_states(op.body)
    return frozenset(found)


def spilled_states(op: Loop, budget_bytes: float, outside: frozenset[str] = frozenset()) -> frozenset[str]:
    """Carried tensors of a loop that live in DRAM so that a step fits the budget: the largest first, as few as do.

    A state and the tensor that becomes it in the next step go together; those of ``outside`` live there anyway. All of
    them if nothing less fits.
    """
    carried = sorted(op.carried, key=lambda pair: (-op.body.tensors[pair[1]].bytes, pair))
    spilled = frozenset(name for pair in carried if set(pair) <= outside for name in pair)
    for pair in carried:
        if step_bytes(op.body, spilled) <= budget_bytes:
            break
        spilled |= set(pair)
    return spilled


def resident_choices(sizes: Mapping[str, float], room_bytes: float) -> list[tuple[str, ...]]:
    """Sets of weights that may stay in ``room_bytes`` through a loop, the heaviest first.

    Each byte kept saves one byte a step, so for each budget on a fixed ladder (four steps an octave, up to the room)
    the heaviest set that fits it is a choice, and so are all of the weights. A larger room only adds choices. Of more
    than 10 weights the small ones stay together, and sets are formed of the 10 largest.
    """
    if not sizes:
        return []
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    large, tail = names[:_SETS_OF], tuple(names[_SETS_OF:])
    picks = (np.arange(2 ** len(large))[:, None] >> np.arange(len(large))) & 1
    sums = picks @ np.array([sizes[name] for name in large]) + sum(sizes[name] for name in tail)
    order = np.argsort(sums, kind="stable")
    steps = int(np.floor(4 * np.log2(room_bytes))) + 1 if room_bytes >= 1 else 0
    budgets = 2.0 ** (np.arange(steps) / 4)
    heaviest = np.unique(np.searchsorted(sums[order], budgets, side="right") - 1)
    chosen = [order[each] for each in heaviest if each >= 0]
    if sum(sizes.values()) <= room_bytes and (not chosen or chosen[-1] != len(picks) - 1):
        chosen.append(len(picks) - 1)
    sets = [
        (*tail, *(name for name, kept in zip(large, picks[each], strict=True) if kept)) for each in reversed(chosen)
    ]
    return [each for each in sets if each]


def pinned_choices(graph: Graph, room_bytes: float) -> list[tuple[str, ...]]:
    """Sets of weights that may stay on chip in ``room_bytes`` from one inference to the next, the heaviest first.

    Weights with the fewest MACs a byte come first, since their loads are hidden worst. For each budget of 64 KiB,
    128 KiB and so on up to the room the longest row that fits it is a choice, and so are all weights.
    """
    read = read_whole(graph)
    sizes = {t.name: t.bytes for t in graph.all_tensors() if t.role == "weight" and t.name in read and t.bytes > 0}
    macs = dict.fromkeys(sizes, 0)
    for op, times in graph.walk():
        for name in op.inputs:
            if name in macs:
                macs[name] += op.macs * times
    names = sorted(sizes, key=lambda name: (macs[name] / sizes[name], name))
    held = np.cumsum([sizes[name] for name in names])
    octaves = int(np.floor(np.log2(room_bytes / _LEAST_PINNED_BYTES))) + 1 if room_bytes >= _LEAST_PINNED_BYTES else 0
    budgets = _LEAST_PINNED_BYTES * 2.0 ** np.arange(octaves)
    counts = {int(count) for count in np.searchsorted(held, budgets, side="right")}
    if len(held) and held[-1] <= room_bytes:
        counts.add(len(names))
    return [tuple(names[:count]) for count in sorted(counts - {0}, reverse=True)]

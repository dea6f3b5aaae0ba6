"""Branches that the data decides, by their probabilities: every outcome of a model, each a graph of its own.

One graph holds one outcome, so that its MACs, bytes and latency are those of a run that can happen. What a model costs
on average is the mean over its outcomes, which `study.expect` takes of any metric.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.graph import Graph

__all__ = ["MAX_OUTCOMES", "TAKEN", "Outcome", "checked_choice", "dearest", "load_outcomes", "weighs", "weighted_mean"]

TAKEN = "branch taken by "
"""What `Graph.parameters_used` calls a choice, with the name of the `If` behind it."""
MAX_OUTCOMES = 64
_ANY = "*"
_THEN, _ELSE, _DEAREST = "then", "else", "dearest"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way through a model: how probable it is, the branch of each `If` that was weighed, and its graph."""

    probability: float
    branches: Mapping[str, str]
    graph: Graph


def weighs(choice: object) -> bool:
    """Whether what was said of an `If` is a probability of its then-branch."""
    return isinstance(choice, int | float) and not isinstance(choice, bool)


def checked_choice(choice: str | float, known: Collection[str], file: object, field: str) -> str:
    """A branch as one graph takes it.

    Raises:
        InputError: a probability, which takes several graphs.
        UnknownNameError: not one of ``known``.
    """
    if weighs(choice):
        remedy = "take accelsim.expect, or load_outcomes for the graphs (on the command line, simulate or show)"
        raise InputError("weighs a branch, and one graph holds one of them", file=file, field=field, value=choice,
                         remedy=remedy)  # fmt: skip
    if not isinstance(choice, str) or choice not in known:
        raise UnknownNameError("branch", str(choice), known, file=file, field=field)
    return choice


def dearest(load: Callable[[Mapping[str, str]], Graph], branches: Mapping[str, str | float]) -> Graph:
    """The graph with the most MACs over all that is called dearest in ``branches``; what is said of others stays.

    Raises:
        UnsupportedError: more than `MAX_OUTCOMES` graphs would have to be compared.
    """
    words: dict[str, Any] = {name: _THEN if word == _DEAREST else word for name, word in branches.items()}
    best: Graph | None = None
    waiting: list[dict[str, str]] = [{}]
    seen = 0
    while waiting:
        chosen = waiting.pop()
        graph = load({**words, **chosen})
        taken = [name.removeprefix(TAKEN) for name in graph.parameters_used if name.startswith(TAKEN)]
        asked = (name for name in taken if branches.get(name, branches.get(_ANY)) == _DEAREST and name not in chosen)
        unsettled = next(asked, None)
        if unsettled is not None:
            waiting += [{**chosen, unsettled: _ELSE}, {**chosen, unsettled: _THEN}]
        elif best is None or graph.macs > best.macs:
            best = graph
        seen += 1
        if seen > 2 * MAX_OUTCOMES:
            rule = f"asks for the dearest of more than {MAX_OUTCOMES} graphs"
            raise UnsupportedError(rule, file=graph.name, field="branches", remedy="say then or else for some")
    assert best is not None
    return best


def weighted_mean(pairs: Iterable[tuple[float, float]]) -> float:
    """The mean of (probability, value) pairs."""
    return fsum(probability * value for probability, value in pairs)


def load_outcomes(
    name_or_path: str | Path,
    /,
    *,
    branches: Mapping[str, str | float],
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, float] | None = None,
    allow_zero_cost: Collection[str] = (),
    trips: Mapping[str, int] | None = None,
    measure_shapes: bool = False,
    **parameters: Any,
) -> tuple[Outcome, ...]:
    """Every outcome of a model some of whose branches are given by probability, in order of the choices.

    Each `If` that is weighed is decided independently of the others, and the one choice of an `If` in the body of a
    loop holds for all steps: means do not depend on that, how far single runs lie apart does.

    Args:
        name_or_path: an ONNX or TFLite model, as `load_workload` takes it.
        branches: by name of the `If` ("*": every other), the probability of its then-branch, 0 to 1; or a choice as
            `load_workload` takes it.
        shapes, values, allow_zero_cost, trips, measure_shapes, parameters: as of `load_workload`.

    Raises:
        InputError: a probability that is none, or what `load_workload` raises.
        UnknownNameError: a weight for an `If` that no outcome has, or whose condition is constant.
        UnsupportedError: more than `MAX_OUTCOMES` outcomes.
    """
    from accelsim.workload.load import load_workload

    weights = {name: _probability(given, name, name_or_path) for name, given in branches.items() if weighs(given)}
    words = {name: str(given) for name, given in branches.items() if name not in weights}

    def load(chosen: Mapping[str, str]) -> Graph:
        return load_workload(
            name_or_path, branches={**dict.fromkeys(weights, _THEN), **words, **chosen}, shapes=shapes, values=values,
            allow_zero_cost=allow_zero_cost, trips=trips, measure_shapes=measure_shapes, **parameters,
        )  # fmt: skip

    asked: set[str] = set()
    found = tuple(_outcomes(load, weights, words, asked, str(name_or_path)))
    unasked = weights.keys() - asked - {_ANY}
    if unasked:
        what = "If of this model that the data decides"
        raise UnknownNameError(what, min(unasked), asked, file=name_or_path, field="branches")
    return found


def _outcomes(
    load: Callable[[Mapping[str, str]], Graph], weights: Mapping[str, float], words: Mapping[str, str],
    asked: set[str], file: str,
) -> list[Outcome]:  # fmt: skip
    """The leaves of the tree of choices. A branch may bring further `If`s, so each is asked for by an import."""
    found: list[Outcome] = []
    waiting: list[tuple[float, dict[str, str]]] = [(1.0, {})]
    while waiting:
        probability, chosen = waiting.pop()
        graph = load(chosen)
        taken = [name.removeprefix(TAKEN) for name in graph.parameters_used if name.startswith(TAKEN)]
        weighed = [name for name in taken if name in weights or (_ANY in weights and name not in words)]
        asked.update(weighed)
        unsettled = next((name for name in weighed if name not in chosen), None)
        if unsettled is None:
            found.append(Outcome(probability, chosen, graph))
            continue
        share = weights.get(unsettled, weights.get(_ANY, 0.0))
        ways = ((_ELSE, 1 - share), (_THEN, share))
        waiting += [(probability * each, {**chosen, unsettled: word}) for word, each in ways if each > 0]
        if len(found) + len(waiting) > MAX_OUTCOMES:
            rule = f"has more than {MAX_OUTCOMES} outcomes with these weights"
            raise UnsupportedError(rule, file=file, field="branches", remedy="say then, else or dearest for some")
    return found


def _probability(given: str | float, name: str, file: object) -> float:
    if not 0 <= float(given) <= 1:  # nan too
        raise InputError("must be a probability of the then-branch, 0 to 1", file=file, field=f"branches.{name}",
                         value=given)  # fmt: skip
    return float(given)

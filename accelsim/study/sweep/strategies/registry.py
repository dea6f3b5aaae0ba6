"""The strategies by name, and the counts that they refuse."""

from __future__ import annotations

from accelsim.errors import InputError
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.strategies.rounds import Rounds
from accelsim.study.sweep.strategies.sampled import grid, sampled

__all__ = ["MAX_DESIGNS", "designs_of", "strategy_of"]

MAX_DESIGNS = 10**9
"""Designs of the largest grid that is begun; at 100,000 a second it takes three hours."""


def strategy_of(sweep: Sweepable) -> Rounds:
    """The rounds of a sweep's strategy.

    Raises:
        InputError: a grid that is too large or has a continuous axis, or a strategy that cannot run this sweep.
        UnsupportedError: what it needs is not installed.
    """
    kind = sweep.document.strategy.kind
    designs_of(sweep)
    if kind == "grid":
        return grid(sweep)
    if kind in ("latin_hypercube", "sobol", "random"):
        return sampled(sweep)
    if kind == "refine":
        from accelsim.study.sweep.strategies.refine import refined

        return refined(sweep)
    if kind == "optuna":
        from accelsim.study.sweep.strategies.optuna import searched

        return searched(sweep)
    if kind == "pruned":
        from accelsim.study.sweep.strategies.pruned import pruned

        return pruned(sweep)
    from accelsim.study.sweep.strategies.sobol_indices import indices

    return indices(sweep)


def designs_of(sweep: Sweepable) -> int:
    """Designs that the strategy may evaluate: all of a grid, else the budget.

    Raises:
        InputError: a grid with a continuous axis, or one that is too large, with its count.
    """
    document, space = sweep.document, sweep.space
    if document.strategy.kind not in ("grid", "pruned"):
        assert document.budget is not None
        return document.budget
    for axis in space.axes:
        if axis.continuous:
            raise InputError(
                f"is continuous, and the strategy {document.strategy.kind} counts designs", file=sweep.file,
                field=f"axes.{axis.name}", remedy="give it steps, or draw designs (sobol, say)",
            )  # fmt: skip
    most = document.budget or MAX_DESIGNS
    if space.count > most and document.strategy.kind == "grid":
        raise InputError(
            f"is a grid of {space.count:,} designs, more than {most:,}", file=sweep.file, field="axes",
            remedy="take fewer values, raise the budget, or draw designs (sobol, optuna, refine)",
        )  # fmt: skip
    return space.count

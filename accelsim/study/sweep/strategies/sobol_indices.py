"""Sobol indices: which axis moves which metric, alone and together with others (SALib)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.study.sweep.designs import Table
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.strategies.rounds import Listed, Rounds

__all__ = ["indices"]


def indices(sweep: Sweepable) -> Rounds:
    """One round of Saltelli's design, as large as the budget allows; returns first-order and total indices.

    Saltelli's design has N (axes + 2) points for N a power of two. An axis of values is a step function of a number
    in [0, 1), so that categories count too. Indices need every design to run: those that do not are filled with the
    median, and counted.

    Raises:
        InputError: a budget that is too small, or axes with conditions.
        UnsupportedError: SALib is not installed.
    """
    document, axes = sweep.document, sweep.space.axes
    try:
        from SALib.sample import sobol as sampling
    except ImportError:
        raise UnsupportedError("needs the package SALib, which is not installed", field="strategy",
                               remedy="pip install 'accelsim[sweep]'") from None  # fmt: skip
    assert document.budget is not None
    if any(axis.when for axis in axes) or len(axes) < 2:
        raise InputError("needs two axes or more, none of them conditional", file=sweep.file, field="strategy")
    base = 2 ** int(np.log2(max(1, document.budget // (len(axes) + 2))))
    if base * (len(axes) + 2) > document.budget or base < 8:
        raise InputError(f"is too small for {len(axes)} axes", file=sweep.file, field="budget", value=document.budget,
                         remedy=f"take {8 * (len(axes) + 2)} or more") from None  # fmt: skip
    problem = {"num_vars": len(axes), "names": [axis.name for axis in axes], "bounds": [[0.0, 1.0]] * len(axes)}
    points = sampling.sample(problem, base, calc_second_order=False, seed=document.seed)
    return _rounds(sweep, problem, np.asarray(points))


def _rounds(sweep: Sweepable, problem: dict[str, Any], points: NDArray[np.float64]) -> Rounds:
    table = yield Listed(sweep.space.at(np.minimum(points, np.nextafter(1.0, 0.0))), wanted=True)
    assert table is not None
    found = {name: _analysed(table, name, problem, sweep.document.seed) for name in sweep.document.objectives}
    return {"sobol_indices": found, "filled": int((~np.isfinite(_column(table, next(iter(found))))).sum())}


def _column(table: Table, name: str) -> NDArray[np.float64]:
    return table.metrics[name]


def _analysed(table: Table, name: str, problem: dict[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Indices of one metric by axis; zeros where it does not vary."""
    from SALib.analyze import sobol as analysis

    values = _column(table, name)
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0:
        return {axis: {"first": 0.0, "first_conf": 0.0, "total": 0.0, "total_conf": 0.0} for axis in problem["names"]}
    filled = np.where(known, values, np.median(values[known]))
    result = analysis.analyze(problem, filled, calc_second_order=False, seed=seed, print_to_console=False)
    return {
        axis: {
            "first": float(result["S1"][index]), "first_conf": float(result["S1_conf"][index]),
            "total": float(result["ST"][index]), "total_conf": float(result["ST_conf"][index]),
        }
        for index, axis in enumerate(problem["names"])
    }  # fmt: skip

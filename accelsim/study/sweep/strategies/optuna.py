"""Multi-objective search by Optuna: it proposes a population of designs, is told what they give, and proposes the next.

Designs that are not ok are told as failed constraints or failed trials, so that samplers move away from them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.study.sweep.designs import Table
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.space import Space
from accelsim.study.sweep.spec import OptunaStrategy
from accelsim.study.sweep.strategies.rounds import Listed, Rounds

if TYPE_CHECKING:
    import optuna

__all__ = ["searched"]


def searched(sweep: Sweepable) -> Rounds:
    """Rounds of ``population`` trials until ``budget`` designs are evaluated.

    Raises:
        UnsupportedError: Optuna, or what a sampler needs beside it, is not installed.
    """
    document = sweep.document
    strategy = document.strategy
    assert isinstance(strategy, OptunaStrategy)
    if not sweep.space.axes:
        raise InputError("is empty, and there is nothing to search", file=sweep.file, field="axes")
    study = _study(strategy, document.seed, [*document.objectives.values()])
    return _rounds(sweep, study, strategy.population)


def _rounds(sweep: Sweepable, study: optuna.Study, population: int) -> Rounds:
    document = sweep.document
    assert document.budget is not None
    left = document.budget
    while left:
        trials = [study.ask() for _ in range(min(population, left))]
        designs = np.array([_suggested(trial, sweep.space) for trial in trials])
        table = yield Listed(designs, wanted=True)
        assert table is not None
        _tell(study, trials, table, [*document.objectives])
        left -= len(trials)
    return {"sampler": type(study.sampler).__name__}


def _study(strategy: OptunaStrategy, seed: int, senses: Sequence[str]) -> optuna.Study:
    try:
        import optuna
    except ImportError:
        raise UnsupportedError("needs the package optuna, which is not installed", field="strategy",
                               remedy="pip install 'accelsim[sweep]'") from None  # fmt: skip
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = ["maximize" if sense == "max" else "minimize" for sense in senses]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(directions=directions, sampler=_sampler(strategy, seed))


def _sampler(strategy: OptunaStrategy, seed: int) -> Any:
    from optuna import samplers

    if strategy.sampler == "nsga2":
        return samplers.NSGAIISampler(population_size=strategy.population, seed=seed)
    if strategy.sampler == "nsga3":
        return samplers.NSGAIIISampler(population_size=strategy.population, seed=seed)
    if strategy.sampler == "tpe":
        return samplers.TPESampler(seed=seed, constant_liar=True)
    try:
        import torch  # noqa: F401
    except ImportError:
        raise UnsupportedError("needs the package torch, which is not installed", field="strategy.sampler", value="gp",
                               remedy="pip install 'accelsim[torch]', or choose tpe or nsga2") from None  # fmt: skip
    return samplers.GPSampler(seed=seed)


def _suggested(trial: optuna.Trial, space: Space) -> NDArray[np.float64]:
    """A design: values in order as whole numbers, others as categories; only axes that exist are asked for."""
    design = np.full(len(space.axes), np.nan)
    for position, axis in enumerate(space.axes):
        if any(design[space.positions[name]] not in allowed for name, allowed in axis.when.items()):
            continue
        if axis.continuous:
            design[position] = trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)
        elif axis.numeric:
            design[position] = trial.suggest_int(axis.name, 0, len(axis.values) - 1)
        else:
            design[position] = trial.suggest_categorical(axis.name, list(range(len(axis.values))))
    return design


def _tell(study: optuna.Study, trials: Sequence[optuna.Trial], table: Table, names: Sequence[str]) -> None:
    """Metrics of designs that are ok; the others failed."""
    from optuna.trial import TrialState

    for trial, ok, *values in zip(trials, table.ok, *(table.metrics[name] for name in names), strict=True):
        if ok and np.isfinite(values).all():
            study.tell(trial, [float(value) for value in values])
        else:
            study.tell(trial, state=TrialState.FAIL)

"""Strategies: which designs are evaluated, in rounds; a later round may depend on what the ones before it found."""

from accelsim.study.sweep.strategies.registry import strategy_of
from accelsim.study.sweep.strategies.rounds import Grid, Listed, Round, Rounds

__all__ = ["Grid", "Listed", "Round", "Rounds", "strategy_of"]

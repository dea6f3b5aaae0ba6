"""The mapper's choices and their gains, in words and as plain data."""

from __future__ import annotations

from math import isinf

from accelsim.pipeline import DigitalEvaluation, Evaluation
from accelsim.report.quantities import plain, quantity
from accelsim.study.choices import MappingChoice, mapping_choices

__all__ = ["choice_rows", "choices_document"]

_WORDS = {
    "fusion": "Depth-first fusion",
    "pipelining": "Pipeline of cores",
    "prefetch": "Prefetch of weights",
    "resident_cache": "Resident caches",
    "resident_weights": "Resident weights",
}


def choice_rows(run: Evaluation) -> list[list[str]]:
    """A row a choice: its name, what was taken, and what it gains; none where a kind's mapper has no choices."""
    return [[_WORDS[each.name], _taken(each), _gain(each)] for each in _choices(run)]


def _choices(run: Evaluation) -> tuple[MappingChoice, ...]:
    return mapping_choices(run) if isinstance(run, DigitalEvaluation) else ()


def _taken(choice: MappingChoice) -> str:
    return choice.taken or ("not taken" if choice.on else "off")


def _gain(choice: MappingChoice) -> str:
    if choice.without_s is None:
        return ""
    if isinf(choice.without_s):
        return "it fits nowhere without"
    return f"{plain(choice.gain, 'x')} ({quantity(choice.without_s, 's')} without)"


def choices_document(run: Evaluation) -> dict[str, dict[str, object]]:
    """By name: whether it might be taken, what was, and the latency without it (null where nothing was taken)."""
    return {
        each.name: {"on": each.on, "taken": each.taken, "without_s": each.without_s, "gain": each.gain}
        for each in _choices(run)
    }

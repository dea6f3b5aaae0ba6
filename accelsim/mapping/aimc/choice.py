"""Which ops compute on tiles: the precision ``analog`` beside the formats of digital cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accelsim.hardware.aimc.description import ANALOG, AimcArchitecture
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument, PrecisionChoice, resolve_precision

__all__ = ["resolve_analog", "stored_choice"]


def resolve_analog(graph: Graph, precision: PrecisionArgument, arch: AimcArchitecture) -> PrecisionChoice:
    """The choice behind a precision, in which ``analog`` stands beside the formats; arguments as `resolve_precision`.

    Raises:
        UnknownNameError: neither a format, a recipe nor ``analog``.
        InputError: a pattern that matches no op, or a mapping without a default.
    """
    if precision == ANALOG:
        return PrecisionChoice(ANALOG, ANALOG)
    if isinstance(precision, str):
        return resolve_precision(graph, precision)
    stored = {pattern: arch.activation_format if name == ANALOG else name for pattern, name in precision.items()}
    found = resolve_precision(graph, stored)
    default = ANALOG if ANALOG in (precision.get("default"), precision.get("*")) else found.default
    patterns = tuple((pattern, precision[pattern]) for pattern, _ in found.patterns)
    return replace(found, default=default, patterns=patterns, label=_label(precision))


def _label(precision: Mapping[str, str]) -> str:
    return ",".join(f"{pattern}={name}" for pattern, name in precision.items())


def stored_choice(choice: PrecisionChoice, arch: AimcArchitecture) -> PrecisionChoice:
    """The formats in which operands are stored: those of ops on tiles are as wide as the tiles' inputs."""

    def stored(name: str) -> str:
        return arch.activation_format if name == ANALOG else name

    patterns = tuple((pattern, stored(name)) for pattern, name in choice.patterns)
    return replace(choice, default=stored(choice.default), patterns=patterns)

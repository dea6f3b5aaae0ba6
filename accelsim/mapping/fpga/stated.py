"""Folding that the architecture states for single layers: which layer it is for, and whether it divides that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.fpga_architecture import LayerFolding
from accelsim.mapping.fpga.folding import Fold, check_factor, factors_of
from accelsim.mapping.fpga.layers import Layer

__all__ = ["allows", "check_names", "stated_folds"]


def check_names(layers: Sequence[Layer], patterns: Mapping[str, LayerFolding], style: str, where: str) -> None:
    """Refuse patterns that are for no layer.

    Raises:
        UnknownNameError: a pattern that fits the name of no layer.
        InputError: a factor that no layer of the pattern has.
    """
    known = {layer.name: factors_of(layer, style) for layer in layers if layer.kind not in ("source", "sink")}
    for pattern, stated in patterns.items():
        field = f"folding.layers.{pattern}"
        fitting = [name for name in known if _fits(name, pattern)]
        if not fitting:
            raise UnknownNameError("layer or pattern of layers of this workload", pattern, known, file=where,
                                   field="folding.layers")  # fmt: skip
        for factor, value in stated.factors.items():
            if not any(factor in known[name] for name in fitting):
                theirs = sorted({each for name in fitting for each in known[name]})
                remedy = f"it is folded by {' and '.join(theirs)}" if theirs else "leave it out: it is not folded"
                raise InputError(f"is no factor of {', '.join(fitting[:3])}", file=where, field=f"{field}.{factor}",
                                 value=value, remedy=remedy)  # fmt: skip


def stated_folds(
    layers: Sequence[Layer], patterns: Mapping[str, LayerFolding], style: str, where: str
) -> dict[str, LayerFolding]:
    """What is stated for each layer, by its name: the first pattern that fits it and whose factors it has.

    Raises:
        InputError: a factor that does not divide its layer; names those that do.
    """
    found = {}
    for layer in layers:
        has = factors_of(layer, style)
        for pattern, stated in patterns.items():
            if _fits(layer.name, pattern) and set(stated.factors) <= set(has):
                for factor, value in stated.factors.items():
                    check_factor(layer, factor, value, style, file=where, field=f"folding.layers.{pattern}.{factor}")
                found[layer.name] = stated
                break
    return found


def allows(stated: LayerFolding | None, fold: Fold) -> bool:
    """Whether the matrix unit of a fold is as stated; what is not stated is free."""
    if stated is None:
        return True
    pairs = (stated.simd, fold.simd), (stated.pe, fold.pe), (stated.reuse_factor, fold.reuse)
    return all(wanted in (None, given) for wanted, given in pairs)


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)

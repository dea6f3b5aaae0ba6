"""Which choices the mapper may make beyond the mapping of each op; every one can be switched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from accelsim.errors import InputError, UnknownNameError

__all__ = ["MappingOptions", "mapping_options"]


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """What the mapper may choose. A choice that is on is only taken where it makes the workload faster.

    Attributes:
        fusion: depth-first: several ops run stripe by stripe, so that what passes between them stays on chip.
        pipelining: samples of a batch flow through stages of ops, each stage on cores of its own, instead of all
            cores working on each op.
        prefetch: weights of an op are loaded while ops before it run.
        resident_cache: key-value caches stay on chip from token to token where they fit.
        resident_weights: steady state: weights that fit stay on chip from one inference to the next. Off unless
            asked for, because it changes what is measured, not how: the first inference is not such a one.
    """

    fusion: bool = True
    pipelining: bool = True
    prefetch: bool = True
    resident_cache: bool = True
    resident_weights: bool = False

    def without(self, name: str) -> MappingOptions:
        """The same options with one switched off."""
        return replace(self, **{name: False})

    def text(self) -> str:
        """``fusion=on,prefetch=off,...``, as the command line takes it."""
        return ",".join(f"{each.name}={'on' if getattr(self, each.name) else 'off'}" for each in fields(self))


def mapping_options(given: Mapping[str, bool] | MappingOptions | None) -> MappingOptions:
    """Options by name; what is not given keeps its default.

    Raises:
        UnknownNameError: a name that is no option.
        InputError: a value that is neither true nor false.
    """
    if isinstance(given, MappingOptions):
        return given
    names = [each.name for each in fields(MappingOptions)]
    for name, value in (given or {}).items():
        if name not in names:
            raise UnknownNameError("mapping option", name, names, field="mapping")
        if not isinstance(value, bool):
            raise InputError("must be true or false", field=f"mapping.{name}", value=value)
    return MappingOptions(**dict(given or {}))

"""Names made unique over a whole model, whose branches may use a name again."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping

from accelsim.workload.onnx.model import Source

__all__ = ["Names", "Scope"]

Scope = ChainMap[str, str]  # names in a GraphProto to names that are unique over the whole model


class Names:
    """Hands out tensor and node names; a taken one gets the path of its branch before it, then a number behind."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._tensors: MutableMapping[str, int] = {}
        self._nodes: MutableMapping[str, int] = {}

    def trial(self) -> Names:
        """One that hands out further names, which count as taken only once they are kept."""
        other = Names(self.source)
        other._tensors, other._nodes = ChainMap({}, self._tensors), ChainMap({}, self._nodes)
        return other

    def keep(self, trial: Names) -> None:
        """Take the names that a trial handed out."""
        for own, other in ((self._tensors, trial._tensors), (self._nodes, trial._nodes)):
            assert isinstance(other, ChainMap)
            own.update(other.maps[0])

    def declare(self, name: str, scope: Scope, prefix: str) -> str:
        """The unique name of a tensor made in ``scope``."""
        if not name:
            return ""
        if name in scope.maps[0]:
            raise self.source.error("is made twice", f"tensor {name}")
        scope[name] = _unused(name, prefix, self._tensors)
        return scope[name]

    def node(self, name: str, op_type: str, prefix: str) -> str:
        """The unique name of a node, made from its operator where the file gives none."""
        return _unused(name or f"{op_type}_{len(self._nodes)}", prefix, self._nodes)

    def look_up(self, name: str, scope: Scope, reader: str) -> str:
        """The unique name of a tensor that ``reader`` reads; "" stays "", an omitted input."""
        if name and name not in scope:
            raise self.source.error(f"reads {name!r}, which neither an input nor a node before it makes", reader)
        return scope[name] if name else ""


def _unused(name: str, prefix: str, taken: MutableMapping[str, int]) -> str:
    """``name``, or a variation that is not taken; ``taken`` counts how often each was asked for."""
    base = candidate = name if name not in taken or not prefix else f"{prefix}/{name}"
    while candidate in taken:
        taken[base] = taken.get(base, 1) + 1
        candidate = f"{base}#{taken[base]}"
    taken[candidate] = 1
    return candidate

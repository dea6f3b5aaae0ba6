"""The attributes of a node, by name."""

from __future__ import annotations

from typing import Any

from accelsim.workload.onnx.model import text

__all__ = ["Attributes"]


class Attributes:
    """What a NodeProto sets, with a default for what it leaves out."""

    def __init__(self, proto: Any) -> None:
        self._attributes = {text(each.name): each for each in proto.attribute}

    def integer(self, name: str, default: int) -> int:
        attribute = self._attributes.get(name)
        return int(attribute.i) if attribute is not None else default

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of integers; () where it is absent."""
        attribute = self._attributes.get(name)
        return tuple(attribute.ints) if attribute is not None else ()

    def real(self, name: str, default: float) -> float:
        attribute = self._attributes.get(name)
        return float(attribute.f) if attribute is not None else default

    def string(self, name: str, default: str) -> str:
        attribute = self._attributes.get(name)
        return text(attribute.s) if attribute is not None else default

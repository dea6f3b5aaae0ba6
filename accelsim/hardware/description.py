"""What the descriptions of all hardware kinds have in common: named constants by path, and the rules across fields."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field

from accelsim.documents import Authored, Constant

__all__ = ["Description"]


class Description(Authored):
    """The base of every kind's schema. A kind is a subclass with its own ``kind`` and an entry in `load.KINDS`."""

    kind: str
    name: str = Field(min_length=1)
    description: str = ""

    @property
    @abstractmethod
    def default_precision(self) -> str:
        """The format or recipe that is used where none is asked for."""

    @property
    @abstractmethod
    def value_format(self) -> str:
        """The format of everything that is not matrix work."""

    def check_rules(self, file: object) -> None:
        """Rules across fields, complaints naming ``file``; a kind adds its own."""

    def completed(self, file: object) -> tuple[Self, frozenset[str]]:
        """The description with every constant, and the paths of those that were left out and a model supplied."""
        del file
        return self, frozenset()

    def peaks(self) -> dict[str, dict[str, float]]:
        """Peak figures by format, units in their names; empty where the kind has none."""
        return {}

    def parameters(self) -> dict[str, object]:
        """Every field by its dotted path, as `override` takes it: constants, words, None where a constant is absent."""
        return dict(_leaves(self, ""))

    def constants(self) -> dict[str, Constant]:
        """Every constant by its dotted path."""
        return {path: value for path, value in self.parameters().items() if isinstance(value, Constant)}

    def with_constant(self, path: str, constant: Constant) -> Self:
        """A copy with ``constant`` at a dotted path that exists; nothing is checked."""
        changed: Self = _replaced(self, path.split("."), constant)
        return changed


def _replaced(node: Any, path: list[str], constant: Constant) -> Any:
    if not path:
        return constant
    here, rest = path[0], path[1:]
    if isinstance(node, dict):
        return {**node, here: _replaced(node[here], rest, constant)}
    assert isinstance(node, Authored)
    return node.model_copy(update={here: _replaced(getattr(node, here), rest, constant)})


def _leaves(node: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, Authored) and not isinstance(node, Constant):
        for name in type(node).model_fields:
            yield from _leaves(getattr(node, name), f"{path}.{name}" if path else name)
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, f"{path}.{name}")
    else:
        yield path, node

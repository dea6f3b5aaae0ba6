"""What batches of the same workload share: it is made for the first, and kept for those that follow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from accelsim.errors import InfeasibleError

__all__ = ["Kept"]

T = TypeVar("T")


@dataclass(slots=True)
class Kept:
    """The last ``most`` things that were asked for, by what they were made of."""

    most: int = 12
    _found: OrderedDict[Hashable, tuple[tuple[object, ...], Any]] = field(default_factory=OrderedDict)

    def of(self, owners: tuple[object, ...], key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` makes of ``owners``, the same objects, and of whatever ``key`` says.

        Raises:
            InfeasibleError: it did so when it was made.
        """
        name = (*map(id, owners), key)
        if name not in self._found:
            try:
                made: Any = make()
            except InfeasibleError as error:
                made = error
            self._found[name] = owners, made  # which keeps the owners, so that no other object takes their identity
            if len(self._found) > self.most:
                self._found.popitem(last=False)
        self._found.move_to_end(name)
        found = self._found[name][1]
        if isinstance(found, InfeasibleError):
            raise found.with_traceback(None)
        made_before: T = found
        return made_before

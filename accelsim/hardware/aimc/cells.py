"""How a weight lies on its cells: where its two signs are, and which columns hold slices of its bits."""

from __future__ import annotations

from typing import Literal

from accelsim.documents import Authored, Count

__all__ = ["WeightCells"]

_MOST_BITS = 16


class WeightCells(Authored):
    """The cells of a weight, which values depend on (time and energy only count them).

    ``signs`` says where the two polarities are: two devices of a ``cell``, two ``rows`` or two ``columns``; with
    ``offset`` there is one, weights are stored with half of their range added, and that is taken off digitally.
    Columns (pairs of them, with ``columns``) are slices of ``slice_bits`` bits of a whole number; without it each
    holds the whole weight, and their outputs are averaged. Columns of one slice whose cells sum to more than half
    are stored as complements where that is ``complemented``. Columns that are ``joined`` add their currents in front
    of one converter; others are converted each, shifted and added digitally.
    """

    signs: Literal["cell", "rows", "columns", "offset"]
    slice_bits: Count | None = None
    complemented: bool = False
    joined: bool = False

    def parts(self, columns: int) -> int:
        """Slices or copies of a weight of ``columns`` columns."""
        return columns // 2 if self.signs == "columns" else columns

    def check(self, rows: int, columns: int) -> None:
        """That a weight of ``rows`` by ``columns`` cells can lie so; errors are ValueErrors of a validator."""
        if rows != (2 if self.signs == "rows" else 1):
            raise ValueError(f"has {rows} row cells a weight, signs on {self.signs}|two with `signs: rows`, else one")
        if self.signs == "columns" and columns % 2:
            raise ValueError(f"has {columns} columns a weight|an even number with `signs: columns`")
        if self.joined and columns == 1:
            raise ValueError("joins the columns of a weight that has one|leave `joined` out")
        if self.slice_bits is None:
            if self.signs == "offset" or self.complemented:
                raise ValueError("stores weights with an offset, which are whole numbers|state slice_bits")
            return
        bits = self.parts(columns) * int(self.slice_bits.value)
        if not 2 <= bits <= _MOST_BITS:
            raise ValueError(f"makes weights of {bits} bits|2 to {_MOST_BITS} are emulated")
        if self.complemented and (self.signs != "offset" or self.joined):
            raise ValueError("complements columns of weights|only with `signs: offset`, and columns converted each")

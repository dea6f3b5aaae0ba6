"""Numbers as people read them: four digits, and a prefix that keeps them between 1 and 1000."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["interval", "percent", "plain", "quantity", "scale_of", "short"]

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_NONE = "-"


def quantity(value: float | None, unit: str, digits: int = 4) -> str:
    """``value`` with the SI prefix of its size: 0.1842 with "s" is "184.2 ms"; "-" for None."""
    if value is None or math.isnan(value):
        return _NONE
    if math.isinf(value):
        return "unbounded"
    exponent = _exponent(value, digits)
    return f"{value / 10.0**exponent:.{digits}g} {_PREFIXES[exponent]}{unit}".rstrip()


def _exponent(value: float, digits: int = 15) -> int:
    """The multiple of three that leaves ``value``, as rounded to ``digits``, between 1 and 1000."""
    if value == 0 or not math.isfinite(value):
        return 0
    magnitude = int(f"{abs(value):.{digits - 1}e}".partition("e")[2])
    return min(max(magnitude // 3 * 3, min(_PREFIXES)), max(_PREFIXES))


def scale_of(values: Sequence[float]) -> tuple[float, str]:
    """(factor, prefix) that suit the largest of ``values``: 0.02 gives (1e3, "m")."""
    exponent = _exponent(max((abs(value) for value in values), default=0.0))
    return 10.0**-exponent, _PREFIXES[exponent]


def plain(value: float | None, unit: str = "", digits: int = 4) -> str:
    """``value`` without a prefix: "0.01842", "7.618x" with the unit "x", "36 mm2"."""
    if value is None or math.isnan(value):
        return _NONE
    if math.isinf(value):
        return "unbounded"
    shown = f"{value:,.0f}" if 10.0**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"
    return f"{shown}{unit}" if unit in ("", "x") else f"{shown} {unit}"


def percent(share: float) -> str:
    """A share as a percentage: 82.4 %."""
    return f"{100 * share:.1f} %"


def interval(low: str, high: str) -> str:
    """Two figures as a range, a unit that both have said once: "2.1 to 3.9 ms", "28.1 ms to 1.24 s"."""
    if low == high:
        return f"{low} either way"
    figure, space, unit = low.rpartition(" ")
    if space and high.endswith(f" {unit}"):
        return f"{figure} to {high}"
    return f"{low.removesuffix('x') if high.endswith('x') else low} to {high}"


def short(text: str, width: int) -> str:
    """``text`` on one line of at most ``width`` characters, cut in the middle, where names differ least."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{text[:head]}..{text[len(text) - (width - 2 - head) :]}"

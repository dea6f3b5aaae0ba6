"""Progress of a sweep: one line that renews itself on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from accelsim.report.quantities import percent
from accelsim.report.sweep import figure_text
from accelsim.study.sweep.run import Tally

__all__ = ["Progress", "progress_text"]

_TERMINAL_S, _PLAIN_S = 0.1, 10.0
_CLEAR = "\r\x1b[K"


class Progress:
    """Shows the tally of a run; called after every chunk, it writes only so often."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._live = stream.isatty()
        self._next = clock() + (0.0 if self._live else _PLAIN_S)
        self._shown = False

    def __call__(self, tally: Tally) -> None:
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (_TERMINAL_S if self._live else _PLAIN_S)
        line = progress_text(tally)
        self._stream.write(f"{_CLEAR}{line}" if self._live else f"accelsim: {line}\n")
        self._stream.flush()
        self._shown = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live and self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()


def progress_text(tally: Tally) -> str:
    """Designs done, their rate, the share that is ok, the best so far, and the time that is left."""
    parts = [f"{tally.done:,} of {'at most ' if tally.open_ended else ''}{tally.total:,} designs"]
    rate = tally.designs_per_s if tally.done else 0.0
    if not tally.done:
        parts.append("starting, which compiles code once for an installation")
    if rate > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
    if tally.done:
        parts.append(f"{percent(tally.statuses['ok'] / tally.done)} ok")
    best = ", ".join(f"{name} {figure_text(name, value)}" for name, value in tally.best.items())
    if best:
        parts.append(f"best {best}")
    if rate > 0 and tally.total > tally.done and not tally.open_ended:
        parts.append(f"{_time_text((tally.total - tally.done) / rate)} left")
    return "; ".join(parts)


def _time_text(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole / 3600:.1f} h"

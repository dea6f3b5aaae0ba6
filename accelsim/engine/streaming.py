"""FIFO depths by simulation: the smallest that does not deadlock, and the smallest that loses no cycle.

Deeper FIFOs never make a dataflow slower (every wait for room comes later or falls away), so both are found by
doubling steps and bisection, one FIFO after the other with the others held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.choose import run
from accelsim.engine.timeline import Timeline
from accelsim.errors import EngineError
from accelsim.mapping.fpga.lower import UNBOUNDED, Lowered
from accelsim.mapping.taskgraph import TaskGraph

__all__ = ["Sizing", "cycles_of_frames", "largest_fill", "run_cycles", "size_fifos", "smallest_common_depth"]


@dataclass(frozen=True, slots=True)
class Sizing:
    """Depths of FIFOs in pixels.

    Attributes:
        lossless: the smallest with which the last frame ends as soon as with FIFOs without end.
        working: the smallest that does not deadlock, of the FIFOs that were asked for.
        cycles: end of the last frame with ``lossless`` depths; ``cycles_working`` with ``working`` ones.
        runs: simulations that it took.
    """

    lossless: Mapping[str, int]
    working: Mapping[str, int]
    cycles: int
    cycles_working: int
    runs: int


def run_cycles(tasks: TaskGraph) -> Timeline:
    """A timeline in clock cycles: one femtosecond stands for a cycle."""
    return run(tasks, tasks.amount.astype(np.int64), "auto")


def cycles_of_frames(lowered: Lowered, depths: Mapping[str, int] | None = None) -> NDArray[np.int64]:
    """Cycle in which the last pixel of every frame arrives, (frames,).

    Raises:
        EngineError: a deadlock; names the circle of waits.
    """
    return run_cycles(lowered.with_depths(depths)).end_fs[lowered.ends]


def largest_fill(lowered: Lowered, timeline: Timeline) -> dict[str, int]:
    """Pixels in each FIFO at its fullest. A put that begins as a take ends finds its place free."""
    found = {}
    for name, puts in lowered.puts.items():
        begins = timeline.start_fs[puts]
        left = np.searchsorted(timeline.end_fs[lowered.releases[name]], begins, side="right")
        found[name] = int((np.arange(1, len(puts) + 1) - left).max(initial=0))
    return found


def smallest_common_depth(lowered: Lowered, fifos: Iterable[str]) -> Sizing:
    """As `size_fifos` for FIFOs that all get one depth; the others keep theirs."""
    names = list(fifos)
    search = _Search(lowered)
    most = max(search.unbounded_fill(names)[name] for name in names)
    common = dict.fromkeys(names, most)
    best = search.ends(common)

    def lossless(depth: int) -> bool:
        return search.ends(dict.fromkeys(names, depth)) == best

    def working(depth: int) -> bool:
        return search.ends(dict.fromkeys(names, depth)) is not None

    enough = dict.fromkeys(names, _smallest(lossless, 1, most))
    least = dict.fromkeys(names, _smallest(working, 1, enough[names[0]]))
    return Sizing(enough, least, search.known(enough), search.known(least), search.runs)


def size_fifos(lowered: Lowered, least: int = 1) -> Sizing:
    """Smallest depths of all FIFOs of a dataflow.

    First those of skips that do not deadlock, then those that lose no cycle, of skips and of all others. Every FIFO has
    ``least`` pixels or more.
    """
    search = _Search(lowered)
    skips = [stream.name for stream in lowered.dataflow.fifos if stream.skip]
    others = [stream.name for stream in lowered.dataflow.fifos if not stream.skip]
    best = search.ends(dict.fromkeys((*skips, *others), UNBOUNDED))
    common = search.enough_for_others(skips, others, best, least)
    fill = search.unbounded_fill(skips, dict.fromkeys(others, common))
    depths = {**dict.fromkeys(others, common), **{name: max(fill[name], least) for name in skips}}
    working = {**depths, **dict.fromkeys(others, least)}
    if not search.runs_with(working):
        working = dict(depths)
    for name in skips:
        working[name] = search.smallest(working, name, least, None)
    search.ends(working, keep_order=True)
    for name in others if common > least else ():
        if search.ends({**depths, name: least}) == best:
            depths[name] = least
    for name in (*skips, *others):
        depths[name] = search.smallest(depths, name, least, best)
    least_skips = {name: working[name] for name in skips}
    return Sizing(depths, least_skips, search.known(depths), search.known({**depths, **least_skips}), search.runs)


class _Search:
    """Runs of one dataflow, each set of depths once."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.runs = 0
        self._found: dict[tuple[tuple[str, int], ...], int | None] = {}

    def unbounded_fill(self, names: Iterable[str], others: Mapping[str, int] | None = None) -> dict[str, int]:
        """Largest fill of FIFOs without end, the others as they are."""
        self.runs += 1
        depths = {**(others or {}), **dict.fromkeys(names, UNBOUNDED)}
        return largest_fill(self.lowered, run_cycles(self.lowered.with_depths(depths)))

    def enough_for_others(self, skips: Sequence[str], others: Sequence[str], best: int | None, least: int) -> int:
        """A depth of all FIFOs but those of skips that loses no cycle while those have no end."""
        endless = dict.fromkeys(skips, UNBOUNDED)
        depth = least
        while self.ends({**endless, **dict.fromkeys(others, depth)}) != best:
            depth *= 2
        return depth

    def ends(self, depths: Mapping[str, int], *, keep_order: bool = False) -> int | None:
        """End of the last frame; None where it deadlocks. ``keep_order`` lists the tasks as they ran."""
        key = tuple(sorted(depths.items()))
        if key not in self._found or keep_order:
            self.runs += 1
            try:
                timeline = run_cycles(self.lowered.with_depths(depths))
                self._found[key] = int(timeline.end_fs[self.lowered.ends[-1]])
                if keep_order:
                    self.lowered = self.lowered.in_order_of(timeline.start_fs, timeline.end_fs)
            except EngineError:
                self._found[key] = None
        return self._found[key]

    def runs_with(self, depths: Mapping[str, int]) -> bool:
        """Whether it does not deadlock."""
        return self.ends(depths) is not None

    def smallest(self, depths: Mapping[str, int], name: str, least: int, best: int | None) -> int:
        """The smallest depth of one FIFO, from ``least`` to what it has, with which the last frame ends at ``best``, or
        at all where that is None."""

        def holds(depth: int) -> bool:
            found = self.ends({**depths, name: depth})
            return found is not None and best in (None, found)

        return _smallest(holds, least, depths[name])

    def known(self, depths: Mapping[str, int]) -> int:
        """End of the last frame with depths that do not deadlock."""
        found = self.ends(depths)
        assert found is not None
        return found


def _smallest(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest depth from ``low`` to ``high`` that holds; ``high`` is known to. It is looked for near ``high``
    first, in steps that double."""
    step, failed = 1, low - 1
    while high > low:
        probe = max(high - step, low)
        if not holds(probe):
            failed = probe
            break
        high, step = probe, 2 * step
    while high - failed > 1:
        middle = (failed + high) // 2
        if holds(middle):
            high = middle
        else:
            failed = middle
    return high

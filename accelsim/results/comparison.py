"""Several precisions side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.report import document
from accelsim.report.files import write_text_atomically
from accelsim.results.single import Result
from accelsim.results.text import json_text
from accelsim.study.compare import PrecisionComparison

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison"]


class Comparison:
    """Several precisions side by side; the first is the baseline, the last what it is compared with."""

    def __init__(self, comparison: PrecisionComparison) -> None:
        self.comparison = comparison
        self.runs = {name: Result(comparison.estimate(name)) for name in comparison.names}

    @property
    def speedup(self) -> float:
        """Latency of the first precision over that of the last."""
        return self.comparison.speedup

    @property
    def speedups(self) -> dict[str, float]:
        """Latency of the first precision over that of each."""
        return self.comparison.speedups

    @property
    def compression(self) -> float:
        """Weight bytes in FP32 over those at the last precision."""
        return self.comparison.compression

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Intervals of speedup and compression over assumed constants."""
        return self.comparison.intervals

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row an assumed constant, by falling effect on the speed-up."""
        from accelsim.report.tables import sensitivity_frame

        return sensitivity_frame(self.comparison.sensitivity)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, such as which figures were calibrated."""
        return self.comparison.notes

    def check(self) -> bool:
        """As `Result.check`, for every run."""
        return all(run.check() for run in self.runs.values())

    def to_document(self) -> dict[str, Any]:
        """The comparison as plain data, as the command line's ``--json`` prints it."""
        return document.comparison_document(self.comparison)

    def to_json(self, path: str | Path | None = None) -> str:
        """The comparison as JSON text; also written to ``path`` if one is given."""
        return json_text(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """The scalar metrics, a row a precision."""
        import pandas as pd

        return pd.concat([run.to_frame() for run in self.runs.values()], ignore_index=True)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.html import comparison_html

        write_text_atomically(Path(path), comparison_html(self.comparison))

    def __repr__(self) -> str:
        names = self.comparison.names
        return (
            f"<Comparison {names[0]} -> {names[-1]}: speed-up {self.speedup:.3g}, compression {self.compression:.3g}>"
        )

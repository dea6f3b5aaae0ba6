"""The designs of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.report.files import write_text_atomically
from accelsim.results.text import json_text

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.study.sweep.results import SweepRun

__all__ = ["Sweep"]


class Sweep:
    """The designs of a sweep: a row each, stored in a folder as Parquet; the best of them, and why others fail."""

    def __init__(self, run: SweepRun) -> None:
        self.run = run

    @property
    def folder(self) -> Path:
        """Where the rows are: ``parts`` below it is a Parquet data set."""
        return self.run.folder

    @property
    def frame(self) -> pd.DataFrame:
        """A row a design: its number, its axes, its metrics, ``status``, and what stands in the way of it."""
        return self.run.frame

    @property
    def pareto(self) -> pd.DataFrame:
        """The rows that no other beats in the objectives, the first objective's best on top."""
        return self.run.front

    @property
    def statuses(self) -> dict[str, int]:
        """How many designs are ok, infeasible, refused, or outside of the constraints."""
        return dict(self.run.summary["statuses"])

    @property
    def findings(self) -> dict[str, Any]:
        """What the strategy found out beside the rows, such as a certificate or Sobol indices."""
        return dict(self.run.summary["findings"])

    def command(self, design: int) -> str:
        """The command that simulates one design again, with its full report."""
        from accelsim.report.sweep import command_of

        return command_of(self.run, design)

    def to_document(self) -> dict[str, Any]:
        """Counts, front and findings as plain data, as the command line's ``--json`` prints them."""
        from accelsim.report.sweep import sweep_document

        return sweep_document(self.run)

    def to_json(self, path: str | Path | None = None) -> str:
        """The document as JSON text; also written to ``path`` if one is given."""
        return json_text(self.to_document(), path)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.sweep_page import sweep_html

        write_text_atomically(Path(path), sweep_html(self.run))

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.statuses.items() if count)
        return f"<Sweep {self.run.sweep.name}: {counts}, {len(self.run.summary['front'])} on the front>"

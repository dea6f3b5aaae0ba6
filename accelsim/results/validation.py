"""Predictions against reference figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.report.files import write_text_atomically
from accelsim.results.text import json_text
from accelsim.study.validate import Report

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Validation"]


class Validation:
    """Predictions against reference figures, by target and family; errors are percentages."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def to_document(self) -> dict[str, Any]:
        """The validation as plain data, as the command line's ``--json`` prints it."""
        from accelsim.report.validation import validation_document

        return validation_document(self.report)

    def to_json(self, path: str | Path | None = None) -> str:
        """The validation as JSON text; also written to ``path`` if one is given."""
        return json_text(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """A row a comparison: target, family, row, metric, predicted, measured, error_pct."""
        from accelsim.report.validation import validation_frame

        return validation_frame(self.report)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.validation_page import validation_html

        write_text_atomically(Path(path), validation_html(self.report))

    def __repr__(self) -> str:
        families = [each for target in self.report.targets.values() for each in target.families.values()]
        rows, exact = sum(len(each.rows) for each in families), sum(each.exact for each in families)
        return f"<Validation of {', '.join(self.report.targets)}: {rows} rows, {exact} exact>"

"""What each non-ideality of analog tiles does to a model."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from accelsim.report.files import write_text_atomically
from accelsim.results.text import json_text
from accelsim.study.analog_sensitivity import AnalogSensitivity

__all__ = ["Nonidealities"]


class Nonidealities(AnalogSensitivity):
    """What each non-ideality of analog tiles does to a model's outputs; with a report."""

    @classmethod
    def of(cls, found: AnalogSensitivity) -> Nonidealities:
        """``found``, with its report."""
        return cls(**{each.name: getattr(found, each.name) for each in fields(AnalogSensitivity)})

    def __repr__(self) -> str:
        run = self.evaluation
        return f"<Nonidealities {run.workload.name} on {run.architecture.name} in {run.choice.label}>"

    def to_json(self) -> str:
        """The document as JSON text."""
        return json_text(self.to_document())

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.analog_sensitivity import sensitivity_html

        write_text_atomically(Path(path), sensitivity_html(self))

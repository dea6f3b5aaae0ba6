"""What a model computes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from accelsim.report.files import write_text_atomically
from accelsim.study.emulate import Emulation as EmulatedValues

__all__ = ["Emulation"]


class Emulation(EmulatedValues):
    """What a model computes on an architecture at one precision; with a report."""

    @classmethod
    def of(cls, found: EmulatedValues) -> Emulation:
        """``found``, with its report."""
        return cls(**{each.name: getattr(found, each.name) for each in fields(EmulatedValues)})

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.emulation import emulation_html

        write_text_atomically(Path(path), emulation_html(self))

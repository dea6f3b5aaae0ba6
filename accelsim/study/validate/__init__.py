"""Predictions against measured or published figures: one target a capability, each in one file of this package.

`framework` holds the records and runs targets, `table` reads CSV files row by row, `registry` knows the targets.
"""

from accelsim.study.validate.framework import (
    Comparison,
    Family,
    MetricErrors,
    Report,
    Row,
    Target,
    TargetReport,
    evaluated,
)
from accelsim.study.validate.registry import known_targets, target, validate

__all__ = [
    "Comparison",
    "Family",
    "MetricErrors",
    "Report",
    "Row",
    "Target",
    "TargetReport",
    "evaluated",
    "known_targets",
    "target",
    "validate",
]

"""What skip connections cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.report.files import write_text_atomically
from accelsim.results.single import Result
from accelsim.results.text import json_text
from accelsim.study.estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.study.skips import SkipComparison

__all__ = ["Skips"]


class Skips:
    """A network on an FPGA with its skip connections kept, shortened and removed, side by side; see `compare_skips`."""

    def __init__(self, comparison: SkipComparison) -> None:
        self.comparison = comparison
        self.variants = {name: Result(Estimate(each.evaluation, None)) for name, each in comparison.variants.items()}

    def saving(self, name: str) -> dict[str, dict[str, int]]:
        """What a variant takes less than the first, by part and resource; negative where it takes more."""
        return self.comparison.saving(name)

    def check(self) -> bool:
        """As `Result.check`, for every variant."""
        return all(variant.check() for variant in self.variants.values())

    def to_document(self) -> dict[str, Any]:
        """The comparison as plain data, as the command line's ``--json`` prints it."""
        from accelsim.report.skips import skips_document

        return skips_document(self.comparison)

    def to_json(self, path: str | Path | None = None) -> str:
        """The comparison as JSON text; also written to ``path`` if one is given."""
        return json_text(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """The resources of every variant, a row a variant and part."""
        import pandas as pd

        rows = [
            {"variant": name, "part": part, **amount.by_name()}
            for name, variant in self.comparison.variants.items() for part, amount in variant.parts.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.skips_page import skips_html

        write_text_atomically(Path(path), skips_html(self.comparison))

    def __repr__(self) -> str:
        run = self.comparison.baseline.evaluation
        return f"<Skips of {run.workload.name} on {run.architecture.name}: {', '.join(self.variants)}>"

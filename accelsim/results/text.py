"""JSON text of a result, and the file that it goes to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.report.files import write_text_atomically

__all__ = ["json_text"]


def json_text(data: Mapping[str, Any], path: str | Path | None = None) -> str:
    """``data`` as JSON; also written to ``path`` if one is given."""
    text = json.dumps(data, indent=2, allow_nan=False)
    if path is not None:
        write_text_atomically(Path(path), text + "\n")
    return text

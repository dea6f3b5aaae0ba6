"""Results that know how to show themselves: what `simulate`, `compare`, `sweep` and `validate` return."""

from accelsim.results.comparison import Comparison
from accelsim.results.emulation import Emulation
from accelsim.results.single import Result
from accelsim.results.skips import Skips
from accelsim.results.sweep import Sweep
from accelsim.results.validation import Validation

__all__ = ["Comparison", "Emulation", "Result", "Skips", "Sweep", "Validation"]

"""Many designs of one architecture at once: the same figures as one `simulate` of each, row by row, exactly."""

from accelsim.study.batch.evaluate import evaluate_batch
from accelsim.study.batch.kept import Kept
from accelsim.study.batch.records import FEASIBLE, METRICS, BatchResult

__all__ = ["FEASIBLE", "METRICS", "BatchResult", "Kept", "evaluate_batch"]

"""Rewrites: pure functions from graph to graph, each with a report of what it changed.

`registry` knows them by name, `report` holds what they tell, `draft` is a graph while it is edited.
"""

from accelsim.workload.rewrite.registry import REWRITES, list_rewrites, rewrite
from accelsim.workload.rewrite.report import RewriteReport, Totals

__all__ = ["REWRITES", "RewriteReport", "Totals", "list_rewrites", "rewrite"]

"""Generators of the bundled workloads: typed parameters in, a graph out."""

from accelsim.workload.bundled.registry import GENERATORS

__all__ = ["GENERATORS"]

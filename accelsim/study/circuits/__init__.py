"""Estimates of one circuit or macro without a network: `accelsim estimate`.

`records` says what a circuit is, `registry` knows them by name; each lives in one module that has it as ``CIRCUIT``.
"""

from accelsim.study.circuits.records import Circuit, CircuitEstimate, Parameter, Values
from accelsim.study.circuits.registry import circuit, estimate, estimate_circuit, known_circuits

__all__ = [
    "Circuit",
    "CircuitEstimate",
    "Parameter",
    "Values",
    "circuit",
    "estimate",
    "estimate_circuit",
    "known_circuits",
]

"""The circuits by name, and estimating one of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from accelsim.errors import UnknownNameError
from accelsim.study.circuits.records import Circuit, CircuitEstimate

__all__ = ["circuit", "estimate", "estimate_circuit", "known_circuits"]

_HOMES = {
    "dram": "dram",
    "mac": "mac",
    "sram": "sram",
}
"""Name of a circuit -> the module of this package that has it as ``CIRCUIT``; loaded when it is asked for."""


def known_circuits() -> list[str]:
    """Names of all circuits."""
    return sorted(_HOMES)


def circuit(name: str) -> Circuit:
    """The circuit called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in _HOMES:
        raise UnknownNameError("circuit", name, _HOMES)
    found: Circuit = import_module(f"accelsim.study.circuits.{_HOMES[name]}").CIRCUIT
    return found


def estimate_circuit(name: str, parameters: Mapping[str, object], model: str | None = None) -> CircuitEstimate:
    """Figures of one circuit.

    Args:
        name: of the circuit.
        parameters: by name; the circuit says which.
        model: who estimates; None takes the circuit's first.

    Raises:
        InputError: an unknown circuit, model or parameter, or one that breaks a rule.
    """
    found = circuit(name)
    values = found.values(parameters)
    chosen = next(iter(found.models)) if model is None else model
    if chosen not in found.models:
        raise UnknownNameError(f"model of {name}", str(chosen), found.models, field="model")
    figures, sources = found.models[chosen](values)
    return CircuitEstimate(name, chosen, values.given, figures, sources)


def estimate(circuit: str, *, model: str | None = None, **parameters: float | str) -> CircuitEstimate:
    """Energy and area of one circuit or macro without a network.

    ``accelsim.estimate("sram", capacity_bytes=65536, node_nm=7)`` has ``figures`` by name, each with ``value``, ``low``
    and ``high``, units in their names.

    Args:
        circuit: ``sram``, ``mac`` or ``dram``.
        model: ``published`` tables, or ``hwcomponents`` (the extra of that name); None takes the first.
        parameters: of the circuit, units in their names.

    Raises:
        InputError: an unknown circuit, model or parameter, or one that breaks a rule.
    """
    return estimate_circuit(circuit, parameters, model)

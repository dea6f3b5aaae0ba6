"""The circuits by name, and estimating one of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from accelsim.errors import InputError, UnknownNameError
from accelsim.study.circuits.records import Circuit, CircuitEstimate

__all__ = ["circuit", "estimate", "estimate_circuit", "known_circuits"]

_HOMES = {
    "adc": "adc",
    "crossbar": "crossbar",
    "dram": "dram",
    "mac": "mac",
    "sram": "sram",
}
"""Name of a circuit -> the module of this package that has it as ``CIRCUIT``; loaded when it is asked for."""


FAMILY = "fpga"
"""A family of circuits of its own: its circuits are named in a second word, ``fpga fifo_srl``."""


def known_circuits() -> list[str]:
    """Names of all circuits but those of a family."""
    return sorted(_HOMES)


def circuit(name: str) -> Circuit:
    """The circuit called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    family, _, member = name.partition(" ")
    if family == FAMILY:
        return _member(member)
    if name not in _HOMES:
        raise UnknownNameError("circuit", name, [*_HOMES, FAMILY])
    found: Circuit = import_module(f"accelsim.study.circuits.{_HOMES[name]}").CIRCUIT
    return found


def _member(name: str) -> Circuit:
    """A circuit of the family."""
    from accelsim.study.circuits.fpga import fpga_circuit, known_fpga_circuits

    if not name:
        raise InputError("is missing", file=f"estimate {FAMILY}", field="circuit",
                         remedy=f"name one of {', '.join(known_fpga_circuits())}")  # fmt: skip
    return fpga_circuit(name)


def estimate_circuit(name: str, parameters: Mapping[str, object], model: str | None = None) -> CircuitEstimate:
    """Figures of one circuit.

    Args:
        name: of the circuit; those of an FPGA in two words, such as ``fpga fifo_srl``.
        parameters: by name; the circuit says which.
        model: who estimates; None takes the circuit's first.

    Raises:
        InputError: an unknown circuit, model or parameter, or one that breaks a rule.
    """
    found = circuit(name)
    if name.startswith(f"{FAMILY} "):
        from accelsim.study.circuits.fpga import named

        parameters = named(name.partition(" ")[2], parameters)
    values = found.values(parameters)
    chosen = next(iter(found.models)) if model is None else model
    if chosen not in found.models:
        raise UnknownNameError(f"model of {name}", str(chosen), found.models, field="model")
    figures, sources = found.models[chosen](values)
    return CircuitEstimate(name, chosen, values.given, figures, sources)


def estimate(
    circuit: str, member: str = "", /, *, model: str | None = None, **parameters: float | str
) -> CircuitEstimate:
    """One circuit or macro without a network: energy and area, or what it takes of an FPGA.

    ``accelsim.estimate("sram", capacity_bytes=65536, node_nm=7)`` has ``figures`` by name, each with ``value``, ``low``
    and ``high``, units in their names.

    Args:
        circuit: ``sram``, ``mac``, ``dram``, ``adc``, ``crossbar`` or ``fpga``.
        member: of ``fpga``, the circuit: ``accelsim.estimate("fpga", "fifo_srl", width_bits=8, depth=64)``.
        model: ``published`` tables, or ``hwcomponents`` (the extra of that name); None takes the first.
        parameters: of the circuit, units in their names.

    Raises:
        InputError: an unknown circuit, model or parameter, or one that breaks a rule.
    """
    return estimate_circuit(f"{circuit} {member}".strip(), parameters, model)

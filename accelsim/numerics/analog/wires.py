"""Resistance of the wires of a crossbar: a polynomial for speed, nodal analysis for the exact currents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from accelsim.numerics.analog.draws import Floats

__all__ = ["WireComparison", "compare_wires", "drop_fraction", "drop_profile", "nodal_currents"]

_LARGEST_DEVICES = 512 * 512
"""Devices of one nodal analysis: two nodes each, some seconds and 2 GB at this size."""


def drop_fraction(load: Floats) -> Floats:
    """Share of the far inputs that is lost, c = a (0.5 - 0.2 a + 0.05 a^2), for a load a (dimensionless).

    a is the number of inputs times the current of an output over what a wire segment would carry at full voltage. The
    polynomial of Rasch et al., Nature Communications 14, 2023.
    """
    kind = load.dtype.type
    share: Floats = kind(0.05) * load
    share -= kind(0.2)
    share *= load
    share += kind(0.5)
    share *= load
    return share


def drop_profile(inputs: int) -> NDArray[np.float64]:
    """How much of the drop each input feels, 1 - (1 - j/n)^2 for j = 0 .. n-1: inputs far from the ADC the most."""
    profile: NDArray[np.float64] = 1 - (1 - np.arange(inputs) / inputs) ** 2
    return profile


def nodal_currents(
    conductances_s: ArrayLike, volts: ArrayLike, *, input_wire_ohm: float, output_wire_ohm: float
) -> NDArray[np.float64]:
    """Exact currents into the outputs of a resistive crossbar, in amperes, by Kirchhoff's laws.

    Input wire i is driven at output 0 through one segment and passes outputs 0, 1, ...; output wire o passes inputs
    0, 1, ... and is held at 0 V after the last through one segment. A resistance of 0 is an ideal wire.

    Args:
        conductances_s: (outputs, inputs) siemens, 0 or more.
        volts: (inputs,), or (vectors, inputs).
        input_wire_ohm: resistance of a segment of an input wire; ``output_wire_ohm`` of an output wire.

    Returns:
        (outputs,), or (vectors, outputs).

    Raises:
        InputError: values that are not finite or negative, or shapes that do not fit.
        UnsupportedError: more devices than an analysis takes.
    """
    g, v = np.asarray(conductances_s, np.float64), np.asarray(volts, np.float64)
    _check(g, v, {"input_wire_ohm": input_wire_ohm, "output_wire_ohm": output_wire_ohm})
    outputs, inputs = g.shape
    if input_wire_ohm == output_wire_ohm == 0:
        ideal: NDArray[np.float64] = v @ g.T
        return ideal
    # Nodes: those of input wires, those of output wires, the drivers, ground. An ideal wire is its own end.
    count = outputs * inputs
    on_input = np.arange(count).reshape(outputs, inputs)
    on_output = count + on_input
    drivers = 2 * count + np.arange(inputs)
    ground = np.full((outputs, 1), 2 * count + inputs)
    if input_wire_ohm == 0:
        on_input = np.broadcast_to(drivers, g.shape)
    if output_wire_ohm == 0:
        on_output = np.broadcast_to(ground, g.shape)
    along_inputs = np.vstack([drivers[None], on_input])
    along_outputs = np.hstack([on_output, ground])
    branches = [(on_input, on_output, g)]
    if input_wire_ohm:
        branches.append((along_inputs[:-1], along_inputs[1:], np.full(g.shape, 1 / input_wire_ohm)))
    if output_wire_ohm:
        branches.append((along_outputs[:, :-1], along_outputs[:, 1:], np.full(g.shape, 1 / output_wire_ohm)))
    potentials = _potentials(branches, np.atleast_2d(v), 2 * count, inputs)
    difference = potentials[on_input] - potentials[on_output]
    currents: NDArray[np.float64] = np.einsum("oi,oiv->vo", g, difference)
    return currents[0] if v.ndim == 1 else currents


def _check(g: NDArray[np.float64], v: NDArray[np.float64], ohms: dict[str, float]) -> None:
    if g.ndim != 2 or 0 in g.shape:
        raise InputError("must be a matrix", field="conductances_s", value=g.shape)
    if v.ndim not in (1, 2) or v.shape[-1] != g.shape[1]:
        raise InputError(f"must have {g.shape[1]} values, one an input", field="volts", value=v.shape)
    if not np.isfinite(g).all() or (g < 0).any():
        raise InputError("must be finite and 0 or more", field="conductances_s")
    if not np.isfinite(v).all():
        raise InputError("must be finite", field="volts")
    for name, value in ohms.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError("must be 0 or more", field=name, value=value)
    if g.size > _LARGEST_DEVICES:
        raise UnsupportedError(f"has more than the {_LARGEST_DEVICES} devices of an exact analysis",
                               field="conductances_s", value=g.shape, remedy="use the polynomial")  # fmt: skip


def _potentials(
    branches: list[tuple[Any, Any, NDArray[np.float64]]], v: NDArray[np.float64], free: int, inputs: int
) -> NDArray[np.float64]:
    """Potentials of all nodes, (nodes, vectors): ``free`` unknown ones, then drivers at ``v`` and ground at 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    first, second, g = (np.concatenate([np.ravel(branch[part]) for branch in branches]) for part in range(3))
    nodes = free + inputs + 1
    rows, columns = np.concatenate([first, second, first, second]), np.concatenate([first, second, second, first])
    laplacian = coo_array((np.concatenate([g, g, -g, -g]), (rows, columns)), shape=(nodes, nodes)).tocsr()
    potentials = np.zeros((nodes, len(v)))
    potentials[free : free + inputs] = v.T
    used = np.unique(np.concatenate([first, second]))
    unknown = used[used < free]
    rows_of = laplacian[unknown]
    known = rows_of[:, free:] @ potentials[free:]
    potentials[unknown] = splu(rows_of[:, unknown].tocsc(), permc_spec="MMD_AT_PLUS_A").solve(-known)
    return potentials


@dataclass(frozen=True, slots=True, eq=False)
class WireComparison:
    """Outputs in units of the array, (vectors, outputs): without drop, by the polynomial and by nodal analysis."""

    ideal: NDArray[np.float64]
    polynomial: NDArray[np.float64]
    exact: NDArray[np.float64]

    def _rms(self, difference: NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean(difference**2) / np.mean(self.ideal**2)))

    @property
    def polynomial_drop(self) -> float:
        """Root mean square of what the polynomial takes away, over that of the ideal outputs."""
        return self._rms(self.ideal - self.polynomial)

    @property
    def exact_drop(self) -> float:
        """The same of the nodal analysis."""
        return self._rms(self.ideal - self.exact)

    @property
    def difference(self) -> float:
        """Root mean square of the polynomial's error, over that of the ideal outputs."""
        return self._rms(self.polynomial - self.exact)


def compare_wires(
    weights: ArrayLike, inputs: ArrayLike, *, g_max_us: float, wire_ohm: float = 0.35, input_wire_ohm: float = 0.0
) -> WireComparison:
    """What the polynomial makes of the drop along wires beside nodal analysis of the same array.

    A weight is a pair of devices, each on its own output wire; inputs are volts. Positive and negative weights share
    the polynomial's current, as in the published model.

    Args:
        weights: (outputs, inputs) within -1 .. 1; inputs: (vectors, inputs).
        g_max_us: conductance of a weight of 1.
        wire_ohm: resistance of a segment of an output wire; ``input_wire_ohm`` of an input wire.
    """
    w, x = np.asarray(weights, np.float64), np.atleast_2d(np.asarray(inputs, np.float64))
    scale = g_max_us * 1e-6
    ideal = x @ w.T
    load = w.shape[1] * wire_ohm * scale * (np.abs(x) @ np.abs(w).T)
    polynomial = ideal - drop_fraction(load) * ((x * drop_profile(w.shape[1])) @ w.T)
    # The polynomial's input 0 is next to the ADC, that of the analysis farthest from it.
    plus, minus = (
        nodal_currents(np.maximum(sign * w, 0)[:, ::-1] * scale, x[:, ::-1],
                       input_wire_ohm=input_wire_ohm, output_wire_ohm=wire_ohm)
        for sign in (1, -1)
    )  # fmt: skip
    return WireComparison(ideal, polynomial, (plus - minus) / scale)

"""Power, and clocks that are throttled to stay below a limit.

A chip with a power limit runs each workload at the highest clock at which its average power is within the limit:
workload-aware throttling, as RaPiD does it (Agrawal et al., ISSCC 2021). All clocks on the chip scale together; DRAM
and host keep theirs. Where a clock states voltages, the voltage falls on the straight line between its two points and
stays at the nominal one below it; energies then scale with V^2 and leakage with V. The mapping is that of the full
clock, so traffic stays the same and power falls with the clock: the highest clock is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import Clock, DigitalArchitecture

__all__ = ["clock_scale_within", "throttled"]

_LEAST_SCALE = 2.0**-10
_STEPS = 24


def throttled(arch: DigitalArchitecture, scale: float) -> DigitalArchitecture:
    """The architecture with all clocks of the chip at ``scale`` (0 to 1) of their frequency, and voltages to match."""
    clocks = {name: _slower(clock, scale) for name, clock in arch.clocks.items()}
    return arch.model_copy(update={"clocks": clocks})


def clock_scale_within(limit_w: float, power_at_w: Callable[[float], float]) -> float:
    """The highest clock scale up to 1 at which the power is within ``limit_w``.

    Args:
        limit_w: what the average power may be, watts.
        power_at_w: average power at a clock scale; rises with it.

    Raises:
        InfeasibleError: even a thousandth of the clock is too much: leakage takes more than the limit.
    """
    if power_at_w(1.0) <= limit_w:
        return 1.0
    low, high = _LEAST_SCALE, 1.0
    least = power_at_w(low)
    if least > limit_w:
        raise InfeasibleError(Infeasible("power", least, limit_w, "W", "throttled to a thousandth of the clock"))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if power_at_w(middle) <= limit_w:
            low = middle
        else:
            high = middle
    return low


def _slower(clock: Clock, scale: float) -> Clock:
    source = f"throttled to {scale:.4g} of the clock"
    frequency = clock.clock_hz.value * scale
    update = {"clock_hz": clock.clock_hz.replaced(frequency, source)}
    if clock.voltage_v is not None:
        update["voltage_v"] = clock.voltage_v.replaced(_voltage_v(clock, frequency), source)
    return clock.model_copy(update=update)


def _voltage_v(clock: Clock, frequency_hz: float) -> float:
    """Voltage at a lower frequency: on the line from the stated to the nominal point, and no lower than the latter."""
    voltage, nominal_v, nominal = clock.voltage_v, clock.nominal_voltage_v, clock.nominal_clock_hz
    assert voltage is not None
    assert nominal_v is not None
    if nominal is None or nominal.value >= clock.clock_hz.value or nominal_v.value >= voltage.value:
        return voltage.value
    share = (frequency_hz - nominal.value) / (clock.clock_hz.value - nominal.value)
    return nominal_v.value + max(share, 0.0) * (voltage.value - nominal_v.value)

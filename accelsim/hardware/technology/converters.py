"""Energy and area of analog-to-digital converters by a regression over published ones.

The figure of merit of Schreier falls with the rate until the resolution's own limit, energy follows from it, and area
from energy. Source: Andrulis et al., "Modeling Analog-Digital-Converter Energy and Area for Compute-In-Memory
Accelerator Design", arXiv 2404.06553, over Murmann's ADC performance survey; constants of hwcomponents-adc 1.0.21
(MIT).
"""

from __future__ import annotations

import math

__all__ = ["adc_area_um2", "adc_energy_pj"]

_LIMIT_DB, _LIMIT_DB_PER_BIT = 128.30683, 3.2205114
_RATE_DB, _RATE_DB_PER_LN_HZ = 213.7807, 2.871903
_DB_PER_BIT, _SINE_DB = 6.0206, 1.76091
_ENERGY = (26.0496216, 1.8800369, -2.8291256, -1.4702022)
_AREA = (1.3461916, 0.9932795, 0.1807154, 0.2991243)


def adc_energy_pj(bits: float, rate_hz: float, node_nm: float) -> float:
    """Energy of a conversion at ``bits`` effective bits."""
    limit = _LIMIT_DB + _LIMIT_DB_PER_BIT * math.ceil(bits)
    merit = min(_RATE_DB - _RATE_DB_PER_LN_HZ * math.log(rate_hz), limit)
    best = 1 / (2 * 10 ** ((merit - _DB_PER_BIT * bits - _SINE_DB) / 10))
    constant, node, bit, offset = _ENERGY
    return best * math.exp(constant + node * math.log(node_nm) + bit * math.log(bits) + offset)


def adc_area_um2(energy_pj: float, rate_hz: float, node_nm: float) -> float:
    """Area of one converter."""
    constant, node, rate, energy = _AREA
    return math.exp(constant + node * math.log(node_nm) + rate * math.log(rate_hz) + energy * math.log(energy_pj))

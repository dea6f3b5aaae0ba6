"""Rows of `chips` about single converters: their area by the published regression.

The chip's name says what it is, such as "ADC 10b 1.5GS/s pipelined-SAR 14nm"; effective bits are taken as its bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.technology.converters import adc_area_um2, adc_energy_pj
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["adc_comparisons", "is_adc"]

_UNITS = {"adc_area_each": {"um2": 1.0, "mm2": 1e-6}, "adc_energy_per_convert": {"pJ": 1.0, "fJ": 1e3}}
_SAMPLES = {"G": 1e9, "M": 1e6, "k": 1e3}


def is_adc(record: Record) -> bool:
    """Whether a row is about a converter and no chip."""
    return record.raw("chip").startswith("ADC ")


def adc_comparisons(record: Record) -> Iterator[Comparison]:
    """What the regression predicts beside the row's figure.

    Raises:
        InputError: the name does not say bits, rate and node, or the figure is one of them.
    """
    chip, metric, unit = record.text("chip"), record.text("metric"), record.raw("unit")
    if metric == "adc_sample_rate":
        raise UnsupportedError("is what the name of the converter states, so nothing is predicted", file=record.source,
                               field="metric", value=metric)  # fmt: skip
    if metric not in _UNITS:
        raise UnknownNameError("metric of a converter", metric, _UNITS, file=record.source, field="metric")
    if unit not in _UNITS[metric]:
        raise UnknownNameError(f"unit of {metric}", unit, _UNITS[metric], file=record.source, field="unit")
    bits = re.search(r"\b(\d+(?:\.\d+)?)b\b", chip)
    rate = re.search(r"\b(\d+(?:\.\d+)?)([GMk])S/s", chip)
    node = re.search(r"\b(\d+) ?nm\b", f"{chip} {record.raw('condition')}")
    for what, found in (("bits", bits), ("rate", rate), ("node", node)):
        if found is None:
            raise InputError(f"states no {what}, which area and energy follow from", file=record.source, field="chip",
                             value=chip, remedy='write such as "ADC 8b 1.1GS/s 28nm"')  # fmt: skip
    assert bits is not None
    assert rate is not None
    assert node is not None
    measured = record.figure("value")
    if measured is None:
        return
    rate_hz, node_nm = float(rate[1]) * _SAMPLES[rate[2]], float(node[1])
    energy_pj = adc_energy_pj(float(bits[1]), rate_hz, node_nm)
    predicted = energy_pj if metric == "adc_energy_per_convert" else adc_area_um2(energy_pj, rate_hz, node_nm)
    note = "; ".join(filter(None, (record.raw("use") or "validate", record.raw("confidence"))))
    yield Comparison(f"{metric} [{unit}]", _UNITS[metric][unit] * predicted, measured, note=note)

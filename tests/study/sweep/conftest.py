"""Small sweeps that evaluate in milliseconds a design."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow")

BASE = {
    "architectures": ["systolic-32x32"],
    "workloads": ["mlp"],
    "precisions": ["int8", "fp16"],
    "axes": {
        "memory.dram.bandwidth_bytes_per_s": {"low": 1e9, "high": 64e9, "steps": 4, "scale": "log"},
        "scratchpad.capacity_bytes": [8192, 65536, 1048576],
        "array.dataflows": [["weight_stationary"], ["output_stationary"]],
    },
}


@pytest.fixture
def base():
    """A grid of 48 designs."""
    return {**BASE, "axes": dict(BASE["axes"])}


@pytest.fixture
def hurried(monkeypatch):
    """One design is timed before a run begins, so that all others are left to its workers."""
    monkeypatch.setattr("accelsim.study.sweep.run._PROBE_S", 0.0)


def same_rows(one, other):
    """Whether two Arrow tables hold the same values in the same order, dictionaries aside."""
    return one.column_names == other.column_names and one.to_pydict() == other.to_pydict()

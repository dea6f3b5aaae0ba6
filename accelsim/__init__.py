"""accelsim: how fast, how large, how hungry and how accurate a network is on an accelerator.

>>> import accelsim
>>> result = accelsim.simulate("resnet-18", "systolic-32x32", precision="int8", intervals=False)
>>> result.bottleneck
'array'

Names load on first use, so that importing the package stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from accelsim.version import __version__

if TYPE_CHECKING:
    from accelsim import numerics
    from accelsim.api import (
        compare,
        compare_skips,
        emulate,
        expect,
        from_onnx,
        from_torch,
        nonidealities,
        rewrite,
        simulate,
        sweep,
        validate,
    )
    from accelsim.errors import AccelsimError, InfeasibleError, InputError
    from accelsim.hardware.load import Architecture, load_architecture
    from accelsim.results import Comparison, Emulation, Result, Skips, Sweep, Validation
    from accelsim.study.circuits import estimate
    from accelsim.study.expect import Expectation
    from accelsim.workload.graph import Graph
    from accelsim.workload.load import load_workload
    from accelsim.workload.outcomes import Outcome, load_outcomes

__all__ = [
    "AccelsimError",
    "Architecture",
    "Comparison",
    "Emulation",
    "Expectation",
    "Graph",
    "InfeasibleError",
    "InputError",
    "Outcome",
    "Result",
    "Skips",
    "Sweep",
    "Validation",
    "__version__",
    "compare",
    "compare_skips",
    "emulate",
    "estimate",
    "expect",
    "from_onnx",
    "from_torch",
    "load_architecture",
    "load_outcomes",
    "load_workload",
    "nonidealities",
    "numerics",
    "rewrite",
    "simulate",
    "sweep",
    "validate",
]

_HOMES = {
    "AccelsimError": "errors",
    "Architecture": "hardware.load",
    "Comparison": "results",
    "Emulation": "results",
    "Expectation": "study.expect",
    "Graph": "workload.graph",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "Outcome": "workload.outcomes",
    "Result": "results",
    "Skips": "results",
    "Sweep": "results",
    "Validation": "results",
    "compare": "api",
    "compare_skips": "api",
    "emulate": "api",
    "estimate": "study.circuits",
    "expect": "api",
    "from_onnx": "api",
    "from_torch": "api",
    "load_architecture": "hardware.load",
    "load_outcomes": "workload.outcomes",
    "load_workload": "workload.load",
    "nonidealities": "api",
    "rewrite": "api",
    "simulate": "api",
    "sweep": "api",
    "validate": "api",
}


def __getattr__(name: str) -> Any:
    if name == "numerics":
        return import_module("accelsim.numerics")
    if name not in _HOMES:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    return getattr(import_module(f"accelsim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

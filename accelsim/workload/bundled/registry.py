"""The generators by the name that a workload file gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accelsim.workload.bundled import basic, speech, vision
from accelsim.workload.graph import Graph

__all__ = ["GENERATORS"]

GENERATORS: Mapping[str, Callable[..., Graph]] = {
    "conv": basic.conv,
    "dblstm-hmm": speech.dblstm_hmm,
    "gemm": basic.gemm,
    "lstm": basic.lstm,
    "mlp": basic.mlp,
    "resnet-18": vision.resnet_18,
    "resnet-50": vision.resnet_50,
    "rnnt": speech.rnnt,
    "rnnt-lm-fusion": speech.rnnt_lm_fusion,
    "rnnt-mlperf": speech.rnnt_mlperf,
}

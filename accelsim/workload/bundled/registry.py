"""The generators by the name that a workload file gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accelsim.workload.bundled import (
    basic,
    conformer,
    convnets,
    encoders,
    language,
    speech,
    vision,
    whisper,
)
from accelsim.workload.graph import Graph

__all__ = ["GENERATORS"]

GENERATORS: Mapping[str, Callable[..., Graph]] = {
    "bert": encoders.bert,
    "cifar-resnet": vision.cifar_resnet,
    "conformer": conformer.conformer,
    "conv": basic.conv,
    "dblstm-hmm": speech.dblstm_hmm,
    "gemm": basic.gemm,
    "gpt2": language.gpt2,
    "llama": language.llama,
    "lstm": basic.lstm,
    "mixtral": language.mixtral,
    "mlp": basic.mlp,
    "mobilenet-v2": convnets.mobilenet_v2,
    "resnet-18": vision.resnet_18,
    "resnet-34": vision.resnet_34,
    "resnet-50": vision.resnet_50,
    "rnnt": speech.rnnt,
    "rnnt-lm-fusion": speech.rnnt_lm_fusion,
    "rnnt-mlperf": speech.rnnt_mlperf,
    "vgg-16": convnets.vgg_16,
    "vit": encoders.vit,
    "whisper": whisper.whisper,
}

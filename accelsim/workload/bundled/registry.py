"""The generators by the name that a workload file gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accelsim.workload.bundled import (
    basic,
    branched,
    conformer,
    convnets,
    encoders,
    language,
    mobile,
    sparse,
    speech,
    staged,
    vision,
    whisper,
)
from accelsim.workload.graph import Graph

__all__ = ["GENERATORS"]

GENERATORS: Mapping[str, Callable[..., Graph]] = {
    "alexnet": convnets.alexnet,
    "bert": encoders.bert,
    "cifar-resnet": vision.cifar_resnet,
    "conformer": conformer.conformer,
    "conv": basic.conv,
    "convnext-t": staged.convnext_t,
    "dblstm": speech.dblstm,
    "dblstm-hmm": speech.dblstm_hmm,
    "densenet-121": branched.densenet_121,
    "efficientnet-b0": mobile.efficientnet_b0,
    "gemm": basic.gemm,
    "gpt2": language.gpt2,
    "graphchallenge": sparse.graphchallenge,
    "inception-v3": branched.inception_v3,
    "llama": language.llama,
    "lstm": basic.lstm,
    "mixtral": language.mixtral,
    "mlp": basic.mlp,
    "mobilenet-v2": convnets.mobilenet_v2,
    "mobilenet-v3-large": mobile.mobilenet_v3_large,
    "resnet-18": vision.resnet_18,
    "resnet-34": vision.resnet_34,
    "resnet-50": vision.resnet_50,
    "resnet-101": vision.resnet_101,
    "rnnt": speech.rnnt,
    "rnnt-lm-fusion": speech.rnnt_lm_fusion,
    "rnnt-mlperf": speech.rnnt_mlperf,
    "shufflenet-v2": mobile.shufflenet_v2,
    "squeezenet": convnets.squeezenet,
    "swin-t": staged.swin_t,
    "vgg-16": convnets.vgg_16,
    "vgg-19": convnets.vgg_19,
    "vit": encoders.vit,
    "whisper": whisper.whisper,
}

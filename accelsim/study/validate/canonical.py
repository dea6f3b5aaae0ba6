"""Well-known networks by the names that reference tables give them, from the bundled generators."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from accelsim.errors import InputError
from accelsim.workload.load import load_workload

__all__ = ["canonical_counts"]

# Name in the table, without what stands in brackets -> bundled workload and parameters of its own.
_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"cifar_resnet{depth}": (f"resnet-{depth}", {}) for depth in (20, 32, 44, 56, 110)},
    **{f"resnet{depth}": (f"resnet-{depth}", {}) for depth in (18, 34, 50, 101)},
    **{f"vgg{depth}": (f"vgg-{depth}", {}) for depth in (16, 19)},
    **{f"whisper_{size}_encoder": (f"whisper-{size}", {}) for size in ("tiny", "base", "small", "medium")},
    **{f"bert_{size}": (f"bert-{size}", {}) for size in ("base", "large")},
    "mlperf_rnnt": ("rnnt-mlperf", {}),
    "dblstm_3x250": ("dblstm-3x250", {}),
    "whisper_large_v3_encoder": ("whisper-large", {}),
    "alexnet": ("alexnet", {}),
    "mobilenet_v2": ("mobilenet-v2", {}),
    "mobilenet_v3_large": ("mobilenet-v3-large", {}),
    "squeezenet1_1": ("squeezenet", {}),
    "densenet121": ("densenet-121", {}),
    "inception_v3": ("inception-v3", {}),
    "efficientnet_b0": ("efficientnet-b0", {}),
    "shufflenet_v2_x1_0": ("shufflenet-v2", {}),
    "swin_t": ("swin-t", {}),
    "convnext_tiny": ("convnext-t", {}),
    "vit_b_16": ("vit-b-16", {}),
    "gpt2": ("gpt2-small", {}),
    "gpt2_medium": ("gpt2-medium", {}),
    # Radford et al. 2019, table 2; heads from the hparams.json of the releases.
    "gpt2_large": ("gpt2-small", {"layers": 36, "width": 1280, "heads": 20}),
    "gpt2_xl": ("gpt2-small", {"layers": 48, "width": 1600, "heads": 25}),
    "llama2_7b": ("llama2-7b", {}),
    "llama3_8b": ("llama3-8b", {}),
    "mixtral_8x7b": ("mixtral-8x7b", {}),
}

_IMAGE = re.compile(r"(\d+)x3x(\d+)x(\d+)")
_SPECTRA = re.compile(r"(\d+)x(80|128)x(\d+)\b.*")
_TOKENS = re.compile(r"(\d+)x(\d+) tokens")
_PREFILL = re.compile(r"prefill (\d+)x(\d+), logits for every position")
_FEATURES = re.compile(r"(\d+)x(\d+)x123")
_LATTICE = re.compile(r"240-dim x (\d+) frames \(stack-time 2\), (\d+) symbols, full T/2 x U joint lattice")
_FRAMES_PER_S = 100 / 3
_SPARSE = re.compile(r"graphchallenge_sparse_dnn_(\d+)x(\d+)")
_SPARSE_INPUT = re.compile(r"(\d+) sparse MNIST rows\b.*")
_DECODE = re.compile(r"decode 1 token, context (\d+)(?:, top-2 of 8)?")


def canonical_counts(name: str, described: str, source: str) -> tuple[int, int]:
    """(parameters, MACs) of the network called ``name`` on the input that ``described`` describes.

    Parameters of Whisper are those of the whole model, of which the MACs are the encoder's; those of Inception v3
    include the auxiliary classifier, which inference leaves out. Parameters of a sparse network are those that are
    not zero.

    Raises:
        InputError: no bundled workload is this network, or the input is described in another way.
    """
    sparse = _SPARSE.fullmatch(name.strip())
    if sparse is not None:
        return _sparse_counts([int(each) for each in sparse.groups()], described, source)
    known = _NETWORKS.get(re.sub(r"\s*\(.*\)$", "", name.strip()))
    if known is None:
        raise InputError("is made by no bundled workload", file=source, field="workload", value=name,
                         remedy="validate it as a model file, or load it from torch")  # fmt: skip
    bundled, own = known
    parameters = own | _input(bundled, described.strip(), source)
    graph = load_workload(bundled, **parameters)
    if bundled == "inception-v3":
        return load_workload(bundled, **{**parameters, "auxiliary": True}).parameters, graph.macs
    if not bundled.startswith("whisper"):
        return graph.parameters, graph.macs
    decoder = load_workload(bundled, **{**parameters, "part": "decoder"})
    return graph.parameters + decoder.parameters, graph.macs


def _sparse_counts(sizes: list[int], described: str, source: str) -> tuple[int, int]:
    rows = _SPARSE_INPUT.fullmatch(described.strip())
    if rows is None:
        raise _unknown_input("graphchallenge", described, source)
    graph = load_workload("graphchallenge", neurons=sizes[0], layers=sizes[1], batch=int(rows[1]))
    return graph.nonzero_parameters, graph.macs


def _input(bundled: str, described: str, source: str) -> dict[str, Any]:
    """The generator's parameters that an input asks for."""
    readers: dict[re.Pattern[str], Callable[[list[int]], dict[str, Any]]] = {
        _IMAGE: lambda found: {"batch": found[0], **_image(found[1:], source)},
        _SPECTRA: lambda found: {"batch": found[0], "part": "encoder", "mel_bins": found[1], "frames": found[2]},
        _TOKENS: lambda found: {"batch": found[0], "tokens": found[1]},
        _PREFILL: lambda found: {"batch": found[0], "phase": "prefill", "tokens": found[1], "logits": "all"},
        _FEATURES: lambda found: {"batch": found[0], "frames": found[1]},
        _LATTICE: lambda found: {
            "search": "lattice", "audio_s": found[0] / _FRAMES_PER_S,
            "symbols_per_s": found[1] * _FRAMES_PER_S / found[0],
        },
        _DECODE: lambda found: {"phase": "decode", "context": found[0], "new_tokens": 1},
    }  # fmt: skip
    for pattern, read in readers.items():
        match = pattern.fullmatch(described)
        if match:
            parameters = read([int(each) for each in match.groups()])
            # The large model of the third generation has one token more.
            return parameters | ({"vocabulary": 51866} if parameters.get("mel_bins") == 128 else {})
    raise _unknown_input(bundled, described, source)


def _unknown_input(bundled: str, described: str, source: str) -> InputError:
    return InputError(f"describes no input of {bundled}", file=source, field="input", value=described,
                      remedy="write such as 1x3x224x224, 1x128 tokens, or decode 1 token, context 2048")  # fmt: skip


def _image(sides: list[int], source: str) -> dict[str, Any]:
    if sides[0] != sides[1]:
        raise InputError("must be a square image", file=source, field="input", value=sides)
    return {"image_size": sides[0]}

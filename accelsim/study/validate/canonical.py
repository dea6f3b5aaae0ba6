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
    **{f"resnet{depth}": (f"resnet-{depth}", {}) for depth in (18, 34, 50)},
    **{f"whisper_{size}_encoder": (f"whisper-{size}", {}) for size in ("tiny", "base", "small", "medium")},
    **{f"bert_{size}": (f"bert-{size}", {}) for size in ("base", "large")},
    "whisper_large_v3_encoder": ("whisper-large", {}),
    "vgg16": ("vgg-16", {}),
    "mobilenet_v2": ("mobilenet-v2", {}),
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
_DECODE = re.compile(r"decode 1 token, context (\d+)(?:, top-2 of 8)?")


def canonical_counts(name: str, described: str, source: str) -> tuple[int, int]:
    """(parameters, MACs) of the network called ``name`` on the input that ``described`` describes.

    Parameters of Whisper are those of the whole model, of which the MACs are the encoder's.

    Raises:
        InputError: no bundled workload is this network, or the input is described in another way.
    """
    known = _NETWORKS.get(re.sub(r"\s*\(.*\)$", "", name.strip()))
    if known is None:
        raise InputError("is made by no bundled workload", file=source, field="workload", value=name,
                         remedy="validate it as a model file, or load it from torch")  # fmt: skip
    bundled, own = known
    parameters = own | _input(bundled, described.strip(), source)
    graph = load_workload(bundled, **parameters)
    if not bundled.startswith("whisper"):
        return graph.parameters, graph.macs
    decoder = load_workload(bundled, **{**parameters, "part": "decoder"})
    return graph.parameters + decoder.parameters, graph.macs


def _input(bundled: str, described: str, source: str) -> dict[str, Any]:
    """The generator's parameters that an input asks for."""
    readers: dict[re.Pattern[str], Callable[[list[int]], dict[str, Any]]] = {
        _IMAGE: lambda found: {"batch": found[0], **_image(found[1:], source)},
        _SPECTRA: lambda found: {"batch": found[0], "part": "encoder", "mel_bins": found[1], "frames": found[2]},
        _TOKENS: lambda found: {"batch": found[0], "tokens": found[1]},
        _PREFILL: lambda found: {"batch": found[0], "phase": "prefill", "tokens": found[1], "logits": "all"},
        _DECODE: lambda found: {"phase": "decode", "context": found[0], "new_tokens": 1},
    }
    for pattern, read in readers.items():
        match = pattern.fullmatch(described)
        if match:
            parameters = read([int(each) for each in match.groups()])
            # The large model of the third generation has one token more.
            return parameters | ({"vocabulary": 51866} if parameters.get("mel_bins") == 128 else {})
    raise InputError(f"describes no input of {bundled}", file=source, field="input", value=described,
                     remedy="write such as 1x3x224x224, 1x128 tokens, or decode 1 token, context 2048")  # fmt: skip


def _image(sides: list[int], source: str) -> dict[str, Any]:
    if sides[0] != sides[1]:
        raise InputError("must be a square image", file=source, field="input", value=sides)
    return {"image_size": sides[0]}

"""Published architectures from their packages: every count that torch can make too, made by torch too.

Weights are random or on the meta device; sizes are the published ones. ``$ACCELSIM_TEST_TORCHVISION`` set to ``all``
runs every classification model of torchvision rather than one of each family.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from accelsim import from_onnx, load_workload, simulate
from accelsim.workload.graph import Graph
from accelsim.workload.torch import from_torch
from tests.workload.torch_models import counted_macs, package, torch

torchvision = package("torchvision")

FAMILIES = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnet50",
    "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_16",
    "wide_resnet50_2",
]  # fmt: skip
EVERY = torchvision.models.list_models(module=torchvision.models)
MODELS = EVERY if os.environ.get("ACCELSIM_TEST_TORCHVISION") == "all" else FAMILIES

# Classifiers that only training uses, which torchvision keeps in the module: their parameters take no part.
UNUSED = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}


def vision_model(name: str) -> Any:
    """A model of torchvision on the meta device. RegNets compute their widths with tensors, so are made on the CPU."""
    settings = {"init_weights": False} if name in UNUSED else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return torchvision.models.get_model(name, **settings).eval().to("meta")


def stored(module: Any, unused: tuple[str, ...] = ()) -> int:
    """Elements of all parameters and normalisation statistics, but of the unused parts."""
    tensors = [*module.named_parameters(), *((n, b) for n, b in module.named_buffers() if ".running_" in n)]
    return sum(tensor.numel() for name, tensor in tensors if name.partition(".")[0] not in unused)


@pytest.mark.parametrize("name", MODELS)
def test_torchvision(name: str) -> None:
    module = vision_model(name)
    side = 299 if name == "inception_v3" else 224
    image = torch.empty(1, 3, side, side, device="meta")
    graph = from_torch(module, image)
    assert graph.macs == counted_macs(module, (image,))
    assert graph.parameters == stored(module, UNUSED.get(name, ()))
    assert graph.tensors[graph.outputs[0]].shape == (1, 1000)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("resnet-18", "resnet18"), ("resnet-50", "resnet50"), ("mobilenet-v2", "mobilenet_v2"), ("vit-b-16", "vit_b_16"),
     ("vgg-16", "vgg16")],
)  # fmt: skip
def test_bundled_networks_are_torchvisions(ours: str, theirs: str) -> None:
    """MACs, parameters and skip connections; the bundled ones count no normalisation statistics."""
    bundled, module = load_workload(ours, batch=1), vision_model(theirs)
    graph = from_torch(module, torch.empty(1, 3, 224, 224))
    assert graph.macs == bundled.macs
    statistics = stored(module) - sum(each.numel() for each in module.parameters())
    assert graph.parameters - bundled.parameters in (0, statistics)
    assert len(graph.residuals) == len(bundled.residuals)


def test_resnet_18_runs() -> None:
    result = simulate(from_torch(vision_model("resnet18"), torch.empty(1, 3, 224, 224)), "rapid-4core")
    assert result.check()
    bundled = simulate("resnet-18", "rapid-4core", intervals=False)
    assert result.macs == bundled.macs


# Language and speech models: small ones with weights, and the published sizes on the meta device.


def tokens(count: int) -> Any:
    return torch.ones(1, count, dtype=torch.long)


def llama(**sizes: int) -> Any:
    transformers = package("transformers")
    config = transformers.LlamaConfig(**sizes)
    return transformers.LlamaForCausalLM(config), (tokens(16),), {"use_cache": False}


def gpt2(**sizes: int) -> Any:
    transformers = package("transformers")
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)), (tokens(16),), {"use_cache": False}


def bert(**sizes: int) -> Any:
    transformers = package("transformers")
    module = transformers.BertModel(transformers.BertConfig(**sizes))
    return module, (tokens(16),), {"attention_mask": tokens(16)}


def t5_encoder(**sizes: int) -> Any:
    transformers = package("transformers")
    return transformers.T5EncoderModel(transformers.T5Config(**sizes)), (tokens(16),), {}


def whisper(**sizes: int) -> Any:
    transformers = package("transformers")
    module = transformers.WhisperModel(transformers.WhisperConfig(**sizes))
    return module, (torch.ones(1, 80, 3000),), {"decoder_input_ids": tokens(4), "use_cache": False}


LLAMA_3_8B = {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
              "num_attention_heads": 32, "num_key_value_heads": 8}  # fmt: skip
T5_BASE = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}

LANGUAGE: dict[str, tuple[Any, dict[str, int], str]] = {
    "llama-small": (llama, {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                            "num_attention_heads": 4, "num_key_value_heads": 2}, "cpu"),
    "gpt2-small": (gpt2, {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 100}, "cpu"),
    "bert-small": (bert, {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                          "intermediate_size": 64, "vocab_size": 100}, "cpu"),
    "t5-small": (t5_encoder, {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
                              "vocab_size": 100}, "cpu"),
    "llama-3-8b": (llama, LLAMA_3_8B, "meta"),
    "gpt2": (gpt2, {}, "meta"),
    "bert-base": (bert, {}, "meta"),
    "t5-base-encoder": (t5_encoder, T5_BASE, "meta"),
    "whisper-tiny": (whisper, {}, "meta"),
}  # fmt: skip


def language_model(name: str) -> Any:
    make, sizes, device = LANGUAGE[name]
    with torch.device(device):
        module, inputs, kwargs = make(**sizes)
    return module.eval(), inputs, kwargs


@pytest.mark.parametrize("name", LANGUAGE)
def test_language_models(name: str) -> None:
    module, inputs, kwargs = language_model(name)
    graph = from_torch(module, inputs, kwargs=kwargs)
    # The exported module, because some modules look at values, which meta tensors do not have.
    exported = torch.export.export(module, inputs, kwargs).module()
    assert graph.macs == counted_macs(exported, inputs, kwargs)
    assert graph.parameters == sum(each.numel() for each in module.parameters())


def test_a_published_decoder_has_its_published_parameters() -> None:
    """Llama 3 8B: 8.03 billion parameters (model card of Meta-Llama-3-8B); 7 of 8 products are with weights."""
    module, inputs, kwargs = language_model("llama-3-8b")
    graph = from_torch(module.to(torch.bfloat16), inputs, kwargs=kwargs)
    assert graph.parameters == 8_030_261_248
    assert graph.weight_bytes == 2 * graph.parameters


def test_gpt2_equals_the_bundled_one() -> None:
    transformers = package("transformers")
    with torch.device("meta"):
        module = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
        ids = tokens(1024)
    graph, bundled = from_torch(module, ids, kwargs={"use_cache": False}), load_workload("gpt2-small")
    assert (graph.macs, graph.parameters) == (bundled.macs, bundled.parameters)


def test_a_model_and_its_file_agree(tmp_path: Path) -> None:
    module, inputs, kwargs = language_model("bert-small")
    exported = torch.export.export(module, inputs, kwargs)
    torch.export.save(exported, tmp_path / "bert.pt2")
    graphs: list[Graph] = [from_torch(exported), from_torch(tmp_path / "bert.pt2")]
    assert graphs[0].ops == graphs[1].ops
    assert dict(graphs[0].tensors) == dict(graphs[1].tensors)
    assert simulate(graphs[0], "rapid-4core", intervals=False).check()


@pytest.mark.parametrize("name", ["mobilenet_v2", "vit_b_16"])
def test_the_onnx_export_has_the_same_macs(tmp_path: Path, name: str) -> None:
    """The exporter folds batch normalisation and constants, so that only MACs and skip connections stay the same."""
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    module, image = torchvision.models.get_model(name).eval(), torch.zeros(1, 3, 224, 224)
    torch.onnx.export(module, (image,), str(tmp_path / "model.onnx"), dynamo=True, verbose=False)
    ours, theirs = from_torch(module, image), from_onnx(tmp_path / "model.onnx")
    assert ours.macs == theirs.macs
    assert len(ours.residuals) == len(theirs.residuals)

"""How fast torch modules are read: CPU seconds and peak memory, beside the figures asked.

    python benchmarks/torch_import.py

Needs torch and transformers (extra `test-torch`). Each case runs in a process of its own, whose peak memory is that
of everything: Python, torch, transformers and the graph. `export` is `torch.export`, `import` what comes after it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Any

ASKED_SECONDS, ASKED_BYTES = 20.0, 1.5e9
CASES = ("resnet-50", "llama-3-8b")


def declare_torchvision() -> Any:
    """The operators that importing a torchvision built for another torch looks up."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def model(name: str) -> tuple[Any, Any, dict[str, Any]]:
    import torch

    if name == "resnet-50":
        import torchvision

        return torchvision.models.resnet50(), (torch.zeros(1, 3, 224, 224),), {}
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, dtype="bfloat16",
    )  # fmt: skip
    with torch.device("meta"):
        return LlamaForCausalLM(config), (torch.ones(1, 2048, dtype=torch.long),), {"use_cache": False}


def measure(name: str) -> None:
    started = time.process_time()
    import torch

    library = declare_torchvision()
    from accelsim import from_torch

    module, inputs, kwargs = model(name)
    made = time.process_time()
    exported = torch.export.export(module.eval(), inputs, kwargs)
    traced = time.process_time()
    graph = from_torch(exported, name=name)
    done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{name:11} libraries and module {made - started:6.2f} s CPU, export {traced - made:6.2f} s, "
        f"import {done - traced:6.3f} s, peak {peak / 1e9:5.2f} GB: {len(graph.ops):,} ops, {graph.macs:,} MACs, "
        f"{graph.parameters:,} parameters"
    )
    del library


def main() -> None:
    print(f"asked for llama-3-8b from meta tensors: at most {ASKED_SECONDS:g} s and {ASKED_BYTES / 1e9:g} GB")
    for name in CASES:
        subprocess.run([sys.executable, "-W", "ignore", __file__, name], check=True)


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()

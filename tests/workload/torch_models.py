"""What the tests of the torch front end share: torch itself, or a visible skip, and its own operator counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from accelsim.workload.graph import Graph
from accelsim.workload.torch import from_torch

torch: Any = pytest.importorskip("torch", reason="needs torch: pip install 'accelsim[test-torch]'")


def counted_macs(module: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> int:
    """Multiply-accumulates by torch's own counter, which counts two operations each.

    It knows products, convolutions and attention; the attention kernel of CPUs it does not, so that runs as its
    mathematical form.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs, **(kwargs or {}))
    operations = counter.get_total_flops()
    assert operations % 2 == 0
    return int(operations // 2)


def package(name: str) -> Any:
    """torchvision or transformers; skips where they are not installed.

    The wheels of torchvision may be built for another torch than the one installed; its models work all the same
    once the two operators that its import looks up are declared.
    """
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except (AttributeError, RuntimeError):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
    return pytest.importorskip(name, reason=f"needs {name}: pip install 'accelsim[test-torch]'")


_DECLARED: list[Any] = []  # a library that is collected takes its operators with it


class Function(torch.nn.Module):  # type: ignore[misc]
    """A module of one function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Small(torch.nn.Module):  # type: ignore[misc]
    """One of each: recurrent with projection, convolution, normalisation, attention, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.recurrent = nn.LSTM(8, 16, 2, bidirectional=True, batch_first=True, proj_size=4)
        self.conv, self.norm, self.act = nn.Conv1d(8, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU(inplace=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 8, bias=False)
        self.head.weight = nn.Parameter(torch.zeros(8, 8))
        self.tail = nn.Linear(8, 8, bias=False)
        self.tail.weight = self.head.weight

    def forward(self, x: Any) -> Any:
        here = self.recurrent(x)[0] + self.act(self.norm(self.conv(x.transpose(1, 2)))).transpose(1, 2)
        with torch.no_grad():
            here = self.attention(here, here, here, need_weights=False)[0]
        return self.tail(self.head(here))


def imported(module: Any, *inputs: Any, **options: Any) -> Graph:
    """The graph, after a check that its tensors have the sizes that torch records for the nodes of those names."""
    exported = torch.export.export(module, inputs, strict=False)
    graph = from_torch(exported, **options)
    recorded = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    compared = 0
    for name, tensor in graph.tensors.items():
        if isinstance(value := recorded.get(name), torch.Tensor):
            assert tensor.shape == tuple(value.shape), name
            compared += 1
    assert compared >= len(graph.inputs)
    return graph

"""That the layers and functions of torch are known, and that what they become runs and keeps its certificates."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import load_architecture, simulate
from accelsim.workload.ops import Move
from tests.workload.torch_models import Function, imported, torch

nn = torch.nn
functional = torch.nn.functional

ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh(),
    nn.ELU(), nn.SELU(), nn.CELU(), nn.LeakyReLU(), nn.PReLU(), nn.Softplus(), nn.Softsign(), nn.LogSigmoid(),
    nn.Softmax(-1), nn.LogSoftmax(-1), nn.Hardtanh(), nn.Threshold(0.1, 2.0), nn.GLU(), nn.Softshrink(),
    nn.Tanhshrink(), nn.Upsample(scale_factor=2, mode="bicubic"),
    nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear"),
    nn.PixelShuffle(2), nn.ZeroPad2d(1), nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), nn.AvgPool2d(2),
    nn.AdaptiveMaxPool2d(2), nn.LocalResponseNorm(2), nn.ChannelShuffle(2), nn.Unfold(2), nn.Dropout(), nn.Flatten(),
    nn.BatchNorm2d(4), nn.InstanceNorm2d(4),
]  # fmt: skip


@pytest.mark.parametrize("module", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_layers_are_known_and_run(module: Any) -> None:
    """The result keeps its certificates, and a layer that computes takes some work."""
    graph = imported(nn.Sequential(module).eval(), torch.randn(1, 4, 6, 6))
    result = simulate(graph, load_architecture("rapid-4core"), intervals=False)
    assert result.check()
    assert isinstance(module, nn.Dropout | nn.Flatten) == all(isinstance(op, Move) and op.view for op in graph.ops)


FUNCTIONS: list[Any] = [
    lambda x: x.sort(-1).values, lambda x: x.topk(2).indices, lambda x: x.argmax(-1), lambda x: x.cumsum(0),
    lambda x: x.max(1).values, lambda x: torch.maximum(x, x.flip(0)), lambda x: x.roll(1, 0), lambda x: x.std(-1),
    lambda x: torch.where(x > 0, x, -x), lambda x: x.masked_fill(x.isnan(), 0.0), lambda x: x.pow(2) + x.pow(2.5),
    lambda x: torch.stack(x.unbind(0), 1), lambda x: x.repeat(2, 1), lambda x: x.gather(0, (x > 0).long()),
    lambda x: x.index_select(0, torch.tensor([1, 0])), lambda x: torch.cat(x.chunk(2, 1)[::-1]),
    lambda x: x.scatter(0, torch.zeros(1, 4, dtype=torch.long), 1.0), lambda x: x.diagonal() * 2,
    lambda x: torch.linalg.vector_norm(x, dim=-1), lambda x: functional.normalize(x), lambda x: x.tril(),
    lambda x: functional.one_hot((x > 0).long(), 2), lambda x: x.to(torch.float16).float(), lambda x: x.logsumexp(0),
    lambda x: functional.cosine_similarity(x, x.flip(0)), lambda x: torch.lerp(x, x * 2, 0.5), lambda x: x.var(0),
    lambda x: x.unfold(0, 2, 1) + 1, lambda x: torch.outer(x[0], x[1]), lambda x: x.any(0), lambda x: x.square().sum(),
    lambda x: torch.addcmul(x, x, x), lambda x: (x.bool() & x.isinf()).logical_not(), lambda x: x.clone().zero_() + x,
    lambda x: torch.add(x, x, alpha=2), lambda x: functional.pad(x, (1, 1)), lambda x: x.round() % 2,
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(FUNCTIONS)))
def test_functions_are_known_and_run(index: int) -> None:
    graph = imported(Function(FUNCTIONS[index]), torch.randn(4, 4))
    assert simulate(graph, load_architecture("rapid-4core"), intervals=False).check()

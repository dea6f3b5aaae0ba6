"""The whole lattice of a recurrent transducer: every frame joined with every symbol, as its training loss needs it."""

from __future__ import annotations

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.transducer import PrefixNetwork, Transducer

__all__ = ["add_lattice"]


def add_lattice(build: GraphBuilder, encoded: str, model: Transducer, audio_s: float, workload: str) -> str:
    """Score all (frame, symbol) pairs of ``encoded`` (frames, batch, size) and the symbols of the reference text.

    The prediction network runs once over the symbols, since they are known. Returns the log-probabilities (frames,
    symbols, batch, outputs).

    Raises:
        InputError: a model with language models, which only a search has.
    """
    if model.language_models:
        raise InputError("scores a known text, and language models take part in a search only",
                         file=f"workload {workload}", field="search", value="lattice")  # fmt: skip
    length = max(1, round(model.beam.symbols_per_s * audio_s))
    predicted = _predicted(build, model.prediction, length, model.batch)
    frames, batch, width = build.shape(encoded)
    pairs = (frames, length, batch)
    if model.joint.kind == "multiply":
        size = model.joint.size
        encoded = build.matmul("joint.encoder", encoded, size)
        predicted = build.matmul("joint.prediction", predicted, size)
        (here,) = build.move("joint.expand", "expand", [encoded], (*pairs, size), view=True)
        here = build.elementwise("joint.tanh", "tanh", build.elementwise("joint.multiply", "mul", here, predicted))
    else:
        (here,) = build.move(
            "joint.concat", "concat", [encoded, predicted], (*pairs, width + build.shape(predicted)[-1])
        )
        here = build.elementwise("joint.relu", "relu", build.matmul("joint.hidden", here, model.joint.size))
    return build.reduce("joint.log_softmax", "log_softmax", build.matmul("joint.output", here, model.symbols))


def _predicted(build: GraphBuilder, network: PrefixNetwork, length: int, batch: int) -> str:
    """The prediction network over a known text: (length, batch, hidden size)."""
    table = build.tensor(f"{network.name}.embedding.weight", (network.embedding_rows, network.embedding_size), "weight")
    text = build.input("text", (length, batch))
    (here,) = build.move(f"{network.name}.embedding", "gather", [table, text], (length, batch, network.embedding_size))
    for name in network.layer_names:
        here = build.lstm(name, here, network.hidden_size)
    return here

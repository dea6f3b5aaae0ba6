"""Speech recognition: recurrent transducers with and without language-model fusion, and a hybrid acoustic model.

Sizes and their sources stand in the YAML files; the generators state only how the parts are connected.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.lattice import add_lattice
from accelsim.workload.bundled.parameters import Depth, Positive, Size
from accelsim.workload.bundled.transducer import (
    BeamSearch,
    Joint,
    PrefixNetwork,
    Transducer,
    add_decoding,
)
from accelsim.workload.graph import Graph

__all__ = ["dblstm", "dblstm_hmm", "rnnt", "rnnt_lm_fusion", "rnnt_mlperf"]

_BOTH_DIRECTIONS = 2


def rnnt_lm_fusion(
    *,
    audio_s: Positive,
    frames_per_s: Positive,
    input_size: Size,
    encoder_layers: Depth,
    encoder_hidden_size: Size,
    symbols: Size,
    embedding_size: Size,
    prediction_hidden_size: Size,
    joint_size: Size,
    external_lm_layers: Depth,
    external_lm_hidden_size: Size,
    source_lm_layers: Depth,
    source_lm_hidden_size: Size,
    beam: BeamSearch,
    batch: Size = 1,
) -> Graph:
    """A transducer whose score adds an external language model and subtracts a source one (density ratio).

    ``batch`` utterances of ``audio_s`` seconds are recognised together; `Graph.audio_s` is the audio of all.
    """
    external = PrefixNetwork(
        name="external_lm", embedding_rows=symbols, embedding_size=embedding_size, layers=external_lm_layers,
        hidden_size=external_lm_hidden_size, score_sign=1,
    )  # fmt: skip
    source = replace(
        external, name="source_lm", layers=source_lm_layers, hidden_size=source_lm_hidden_size, score_sign=-1
    )
    prediction = _prediction(symbols, embedding_size, 1, prediction_hidden_size)
    model = Transducer(
        symbols=symbols, prediction=prediction, joint=Joint("multiply", joint_size), beam=beam,
        language_models=(external, source), batch=batch,
    )  # fmt: skip
    return _bidirectional_transducer(
        "rnnt-lm-fusion", model, audio_s, frames_per_s, input_size, encoder_layers, encoder_hidden_size
    )


def rnnt(
    *,
    audio_s: Positive,
    frames_per_s: Positive,
    input_size: Size,
    encoder_layers: Depth,
    encoder_hidden_size: Size,
    symbols: Size,
    embedding_size: Size,
    prediction_hidden_size: Size,
    joint_size: Size,
    beam: BeamSearch,
    batch: Size = 1,
) -> Graph:
    """The transducer of `rnnt_lm_fusion` without language models."""
    prediction = _prediction(symbols, embedding_size, 1, prediction_hidden_size)
    model = Transducer(
        symbols=symbols, prediction=prediction, joint=Joint("multiply", joint_size), beam=beam, batch=batch
    )
    return _bidirectional_transducer(
        "rnnt", model, audio_s, frames_per_s, input_size, encoder_layers, encoder_hidden_size
    )


def rnnt_mlperf(
    *,
    audio_s: Positive,
    frames_per_s: Positive,
    input_size: Size,
    encoder_hidden_size: Size,
    layers_before_stacking: Depth,
    time_stacking: Size,
    layers_after_stacking: Depth,
    symbols: Size,
    prediction_layers: Depth,
    prediction_hidden_size: Size,
    joint_size: Size,
    beam: BeamSearch,
    batch: Size = 1,
) -> Graph:
    """The MLPerf Inference transducer: unidirectional, frames stacked in time halfway through the encoder.

    The blank is the last symbol and has no embedding. A last stack that is not full is padded.
    """
    frames = _frames(audio_s, frames_per_s, "rnnt-mlperf")
    build = GraphBuilder()
    here = build.input("features", (frames, batch, input_size))
    for layer in range(layers_before_stacking):
        here = build.lstm(f"encoder.pre.{layer}", here, encoder_hidden_size)
    stacks = ceil(frames / time_stacking)
    shape = (stacks, batch, time_stacking * encoder_hidden_size)
    (here,) = build.move("encoder.stack", "concat", [here], shape)
    for layer in range(layers_after_stacking):
        here = build.lstm(f"encoder.post.{layer}", here, encoder_hidden_size)
    embedding_rows = max(1, symbols - 1)
    prediction = _prediction(embedding_rows, prediction_hidden_size, prediction_layers, prediction_hidden_size)
    model = Transducer(
        symbols=symbols, prediction=prediction, joint=Joint("concat", joint_size), beam=beam, batch=batch
    )
    return _decoded(build, "rnnt-mlperf", here, model, audio_s)


def dblstm_hmm(
    *,
    audio_s: Positive,
    frames_per_s: Positive,
    input_size: Size,
    layers: Depth,
    hidden_size: Size,
    bottleneck_size: Size,
    outputs: Size,
    batch: Size = 1,
) -> Graph:
    """Bidirectional LSTM layers, a linear bottleneck and scores of the tied states of a hidden Markov model.

    One bias vector a gate. The search over the HMM is the host's and not part of the workload.
    """
    frames = _frames(audio_s, frames_per_s, "dblstm-hmm")
    build = GraphBuilder()
    here = build.input("features", (frames, batch, input_size))
    for layer in range(layers):
        here = build.lstm(f"layer.{layer}", here, hidden_size, directions=_BOTH_DIRECTIONS, bias_vectors=1)
    here = build.matmul("output", build.matmul("bottleneck", here, bottleneck_size), outputs)
    here = build.reduce("log_softmax", "log_softmax", here)
    return build.graph("dblstm-hmm", [here], batch=batch, audio_s=audio_s * batch)


def dblstm(
    *, frames: Size, input_size: Size, layers: Depth, hidden_size: Size, outputs: Size, batch: Size = 1
) -> Graph:
    """Bidirectional LSTM layers and one dense layer over (frames, batch, input_size), with two bias vectors a gate."""
    build = GraphBuilder()
    here = build.input("features", (frames, batch, input_size))
    for layer in range(layers):
        here = build.lstm(f"layer.{layer}", here, hidden_size, directions=_BOTH_DIRECTIONS)
    here = build.reduce("log_softmax", "log_softmax", build.matmul("output", here, outputs))
    return build.graph("dblstm", [here], batch=batch)


def _bidirectional_transducer(
    name: str, model: Transducer, audio_s: float, frames_per_s: float, input_size: int, layers: int, hidden_size: int
) -> Graph:
    build = GraphBuilder()
    here = build.input("features", (_frames(audio_s, frames_per_s, name), model.batch, input_size))
    for layer in range(layers):
        here = build.lstm(f"encoder.{layer}", here, hidden_size, directions=_BOTH_DIRECTIONS)
    return _decoded(build, name, here, model, audio_s)


def _decoded(build: GraphBuilder, name: str, encoded: str, model: Transducer, audio_s: float) -> Graph:
    if model.beam.search == "lattice":
        scores = add_lattice(build, encoded, model, audio_s, name)
        return build.graph(name, [scores], batch=model.batch, audio_s=audio_s * model.batch)
    symbols, figures = add_decoding(build, encoded, model, audio_s)
    return build.graph(name, [symbols], batch=model.batch, audio_s=audio_s * model.batch, figures=figures)


def _prediction(embedding_rows: int, embedding_size: int, layers: int, hidden_size: int) -> PrefixNetwork:
    return PrefixNetwork(
        name="prediction", embedding_rows=embedding_rows, embedding_size=embedding_size, layers=layers,
        hidden_size=hidden_size,
    )  # fmt: skip


def _frames(audio_s: float, frames_per_s: float, workload: str) -> int:
    frames = round(audio_s * frames_per_s)
    if frames < 1:
        rule = f"holds no whole frame at {frames_per_s:g} frames a second"
        raise InputError(rule, file=f"workload {workload}", field="audio_s", value=audio_s, remedy="give more seconds")
    return frames

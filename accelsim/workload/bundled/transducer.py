"""The decode loop of a recurrent transducer (RNN-T), with language models that share its beam search.

Each decode step scores every hypothesis of the beam: the prediction network and the language models run for the
prefixes that have no score yet, the joint network for all hypotheses, then the search keeps the best. The order
of improvements is that of Saon, Tueske and Audhkhasi (ICASSP 2020): cache prefixes, batch prediction, batch joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import NonNegative, Positive, Share, Size
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph

__all__ = ["BeamSearch", "Joint", "PrefixNetwork", "Transducer", "add_decoding"]

SearchKind = Literal["alsd", "tsd", "lattice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch:
    """How hypotheses are expanded; its fields are parameters of each generator that takes one.

    Attributes:
        search: ``alsd``, alignment-length synchronous (T + U steps for T frames and U symbols), or ``tsd``,
            time synchronous (``expansions_per_frame`` steps a frame); or ``lattice``, no search: every frame with
            every symbol of a known text (see `add_lattice`), for which the fields below mean nothing.
        beam_width: hypotheses an utterance.
        prefix_cache: networks run only for prefixes not seen before: in ``lm_steps_fraction`` of the steps, for
            ``uncached_fraction`` of the beam. Without it they run in every step for the whole beam.
        batch_prediction, batch_joint: one call a step for all hypotheses, or one call a hypothesis.
        host_seconds_per_step: the host's time for one step of one utterance; 0 leaves the search on the accelerator.
    """

    search: SearchKind
    beam_width: Size
    symbols_per_s: Positive
    expansions_per_frame: Size
    prefix_cache: bool
    uncached_fraction: Share
    lm_steps_fraction: Share
    batch_prediction: bool
    batch_joint: bool
    host_seconds_per_step: NonNegative

    def steps(self, frames: int, audio_s: float) -> int:
        """Decode steps of one utterance."""
        if self.search == "tsd":
            return frames * self.expansions_per_frame
        return frames + max(1, round(self.symbols_per_s * audio_s))

    def network_steps(self, steps: int) -> int:
        """Those of ``steps`` in which the prediction network and the language models run."""
        return max(1, round(steps * self.lm_steps_fraction)) if self.prefix_cache else steps

    @property
    def evaluated(self) -> int:
        """Hypotheses of an utterance for which the networks run in such a step."""
        return ceil(self.beam_width * self.uncached_fraction) if self.prefix_cache else self.beam_width


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixNetwork:
    """A network over the symbols decoded so far: an embedding and LSTM layers.

    With a ``score_sign`` of 1 or -1 it is a language model, whose output layer's log-probabilities enter the
    fused score with that sign; with 0 it is the prediction network, which feeds the joint network.
    """

    name: str
    embedding_rows: int
    embedding_size: int
    layers: int
    hidden_size: int
    score_sign: Literal[1, -1, 0] = 0

    @property
    def layer_names(self) -> list[str]:
        if self.score_sign:
            return [f"{self.name}.{i}" for i in range(self.layers)]
        return [f"{self.name}.lstm.{i}" for i in range(self.layers)] if self.layers > 1 else [f"{self.name}.lstm"]


@dataclass(frozen=True, slots=True)
class Joint:
    """``multiply``: encoder and prediction are projected to ``size``, multiplied and passed through tanh.

    ``concat``: both are concatenated, projected to ``size`` and passed through ReLU. Both end in a layer over
    the symbols. Where encoder and prediction are projected apart, each projection is made once and not in every
    step: over all frames before the loop, and with the prediction network for each prefix.
    """

    kind: Literal["multiply", "concat"]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transducer:
    """All that runs in the decode loop."""

    symbols: int
    prediction: PrefixNetwork
    joint: Joint
    beam: BeamSearch
    language_models: tuple[PrefixNetwork, ...] = ()
    batch: int = 1

    @property
    def networks(self) -> tuple[PrefixNetwork, ...]:
        return (self.prediction, *self.language_models)

    @property
    def hypotheses(self) -> int:
        return self.batch * self.beam.beam_width

    @property
    def evaluated(self) -> int:
        return self.batch * self.beam.evaluated

    @property
    def prefix_sizes(self) -> list[int]:
        """Values kept for each prefix: what the joint reads, and the scores of each language model."""
        first = self.joint.size if self.joint.kind == "multiply" else self.prediction.hidden_size
        return [first, *(self.symbols for _ in self.language_models)]


@dataclass(slots=True)
class _Body:
    """A decode step while it is written: its builder, and what it carries to the next step."""

    build: GraphBuilder
    carried: list[tuple[str, str]] = field(default_factory=list)


def add_decoding(build: GraphBuilder, encoded: str, model: Transducer, audio_s: float) -> tuple[str, dict[str, float]]:
    """Add the search over ``encoded`` (frames, batch, size) to ``build``.

    Steps that run the networks come first, as loop ``decode``, the others follow as ``decode.cached``: their order
    changes nothing that is counted. Returns the tensor of decoded symbols and the derived figures: decode steps,
    and sweeps over the prediction network's and the language models' weights, each a second of audio.
    """
    frames = build.shape(encoded)[0]
    if model.joint.kind == "multiply":
        encoded = build.matmul("joint.encoder", encoded, model.joint.size)
    steps = model.beam.steps(frames, audio_s)
    network_steps = model.beam.network_steps(steps)
    symbols = build.tensor("decode.symbols", (model.hypotheses,))
    body, carried = _step(build, encoded, model, None)
    build.loop("decode", [encoded], [symbols], body, network_steps, carried)
    if network_steps < steps:
        last = build.tensor("decode.cached.symbols", (model.hypotheses,))
        body, carried = _step(build, encoded, model, symbols)
        build.loop("decode.cached", [encoded, symbols], [last], body, steps - network_steps, carried)
        symbols = last
    seconds = audio_s * model.batch
    sweeps = network_steps * (1 if model.beam.batch_prediction else model.evaluated) / seconds
    figures = {"decode_steps_per_s": steps / seconds, "prediction_sweeps_per_s": sweeps}
    return symbols, figures | ({"lm_sweeps_per_s": sweeps} if model.language_models else {})


def _step(
    outer: GraphBuilder, encoded: str, model: Transducer, symbols: str | None
) -> tuple[Graph, list[tuple[str, str]]]:
    """One decode step. ``symbols`` names the outer tensor that a step without networks starts from."""
    step = _Body(GraphBuilder())
    build = step.build
    # The slice holds the frame at which each hypothesis stands.
    frames = build.input(step_slice(encoded), (model.hypotheses, outer.shape(encoded)[-1]))
    if symbols is None:
        symbols = build.tensor("search.symbols", (model.hypotheses,), "state")
        prefixes = _evaluate(step, model, symbols)
    else:
        build.input(symbols, (model.hypotheses,))
        prefixes = ()
    if model.beam.prefix_cache:
        prefixes = _look_up(step, model, prefixes, symbols)
    scores = _score(build, model, frames, prefixes[0])
    scores = _fuse(build, model, scores, prefixes[1:])
    following = _select(build, model, scores)
    step.carried.append((following, symbols))
    return build.graph("decode.step", [following], batch=model.hypotheses), step.carried


def _evaluate(step: _Body, model: Transducer, symbols: str) -> tuple[str, ...]:
    """The networks for the prefixes that need them; returns what the cache keeps of each: see `prefix_sizes`."""
    build, rows = step.build, model.evaluated
    kept: dict[str, tuple[str, str]] = {}
    states: dict[str, tuple[str, str]] = {}
    for network in model.networks:
        names = network.layer_names
        shape = (1, rows, network.hidden_size)
        for name in names:
            kept[name] = (build.tensor(f"{name}.h", shape, "state"), build.tensor(f"{name}.c", shape, "state"))
        if model.beam.beam_width == 1:
            states |= {name: kept[name] for name in names}
            continue
        # Every survivor continues from its own parent, so the rows of the states change places in each step.
        stored = [state for name in names for state in kept[name]]
        moved = build.move(f"{network.name}.states", "gather", stored, *[shape] * len(stored))
        states |= {name: (moved[2 * i], moved[2 * i + 1]) for i, name in enumerate(names)}
    if model.beam.batch_prediction or rows == 1:
        results = _networks(build, model, symbols, states, rows)
    else:
        results = _call_each(step, model, symbols, states, rows)
    for name, (h, c) in kept.items():
        step.carried += [(f"{name}.h_next", h), (f"{name}.c_next", c)]
    return results


def _networks(
    build: GraphBuilder, model: Transducer, symbols: str, states: dict[str, tuple[str, str]], rows: int
) -> tuple[str, ...]:
    """Prediction network and language models for ``rows`` prefixes."""
    results = []
    for network in model.networks:
        table = build.tensor(
            f"{network.name}.embedding.weight", (network.embedding_rows, network.embedding_size), "weight"
        )
        shape = (1, rows, network.embedding_size)
        (here,) = build.move(f"{network.name}.embedding", "gather", [table, symbols], shape)
        for name in network.layer_names:
            here = build.lstm(name, here, network.hidden_size, states=states[name])
        if network.score_sign:
            here = build.matmul(f"{network.name}.output", here, model.symbols)
            here = build.reduce(f"{network.name}.log_softmax", "log_softmax", here)
        elif model.joint.kind == "multiply":
            here = build.matmul("joint.prediction", here, model.joint.size)
        results.append(here)
    return tuple(results)


def _call_each(
    step: _Body, model: Transducer, symbols: str, states: dict[str, tuple[str, str]], rows: int
) -> tuple[str, ...]:
    """The networks called for one prefix at a time, so that each call sweeps the weights."""
    build = step.build
    inner = GraphBuilder(suffix=step_slice(""))
    read = [symbols, *(name for pair in states.values() for name in pair)]
    for name in read:
        shape = build.shape(name)
        inner.input(step_slice(name), (1,) if name == symbols else (1, 1, shape[-1]))
    sliced = {name: (step_slice(h), step_slice(c)) for name, (h, c) in states.items()}
    results = _networks(inner, model, step_slice(symbols), sliced, 1)
    following = [step_slice(f"{name}.{which}_next") for name in states for which in "hc"]
    return _loop_over_rows(build, inner, "prediction.calls", read, [*results, *following], rows)[: len(results)]


def _loop_over_rows(
    build: GraphBuilder, inner: GraphBuilder, name: str, read: Sequence[str], made: Sequence[str], rows: int
) -> tuple[str, ...]:
    """Run ``inner`` once for each row of the outer tensors ``read``; returns the stacked tensors for ``made``."""
    stacked = []
    for each in made:
        *outer, _, last = inner.shape(each)
        stacked.append(build.tensor(each.removesuffix(inner.suffix), (*outer, rows, last)))
    build.loop(name, read, stacked, inner.graph(f"{name}.step", made), rows)
    return tuple(stacked)


def _look_up(step: _Body, model: Transducer, results: tuple[str, ...], symbols: str) -> tuple[str, ...]:
    """What each hypothesis needs of its prefix, from the cache and from the ``results`` of this step."""
    build = step.build
    shapes = [(model.hypotheses, size) for size in model.prefix_sizes]
    cached = [build.tensor(f"search.cache.{i}", shape, "state") for i, shape in enumerate(shapes)]
    prefixes = build.move("search.lookup", "gather", [*cached, *results, symbols], *shapes)
    step.carried += zip(prefixes, cached, strict=True)
    return prefixes


def _score(build: GraphBuilder, model: Transducer, frames: str, prefix: str) -> str:
    """Log-probabilities of the next symbol, or logits where their order decides: (hypotheses, symbols)."""
    if model.beam.batch_joint or model.hypotheses == 1:
        return _joint(build, model, frames, prefix, model.hypotheses)
    inner = GraphBuilder(suffix=step_slice(""))
    sliced = []
    for name in (frames, prefix):
        *_, last = build.shape(name)
        sliced.append(inner.input(step_slice(name), (1, last)))
    made = _joint(inner, model, sliced[0], sliced[1], 1)
    return _loop_over_rows(build, inner, "joint.calls", [frames, prefix], [made], model.hypotheses)[0]


def _joint(build: GraphBuilder, model: Transducer, frames: str, prefix: str, rows: int) -> str:
    if model.joint.kind == "multiply":
        here = build.elementwise("joint.multiply", "mul", frames, prefix)
        here = build.elementwise("joint.tanh", "tanh", here)
    else:
        width = build.shape(frames)[-1] + build.shape(prefix)[-1]
        (here,) = build.move("joint.concat", "concat", [frames, prefix], (rows, width))
        here = build.elementwise("joint.relu", "relu", build.matmul("joint.hidden", here, model.joint.size))
    here = build.matmul("joint.output", here, model.symbols)
    # The best symbol of a lone hypothesis has the largest logit; probabilities are needed in a beam or to add others.
    if model.beam.beam_width == 1 and not model.language_models:
        return here
    return build.reduce("joint.log_softmax", "log_softmax", here)


def _fuse(build: GraphBuilder, model: Transducer, scores: str, added: Sequence[str]) -> str:
    """log p_rnnt + mu log p_external - lambda log p_source."""
    for network, log_probabilities in zip(model.language_models, added, strict=True):
        scaled = build.elementwise(f"search.scale.{network.name}", "mul", log_probabilities)
        function = "add" if network.score_sign > 0 else "sub"
        scores = build.elementwise(f"search.{function}.{network.name}", function, scores, scaled)
    return scores


def _select(build: GraphBuilder, model: Transducer, scores: str) -> str:
    """The search proper: the best continuations of the beam, on the host or as a reduction on the accelerator."""
    shape = (model.hypotheses,)
    if model.beam.host_seconds_per_step > 0:
        seconds = model.beam.host_seconds_per_step * model.batch
        return build.host("search.beam", scores, shape, seconds)
    return build.reduce("search.beam", "top_k", scores, shape)

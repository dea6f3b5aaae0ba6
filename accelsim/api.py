"""What users call: the stages composed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import mapping_options
from accelsim.numerics.quantisers import Quantiser
from accelsim.pipeline import Engine, evaluate
from accelsim.results import Comparison, Emulation, Result, Skips, Sweep, Validation
from accelsim.study.compare import compare_precisions
from accelsim.study.emulate import Inputs, emulated
from accelsim.study.estimate import estimate
from accelsim.study.expect import Expectation, expected
from accelsim.study.validate import Target
from accelsim.study.validate import validate as compare_with_reference
from accelsim.study.validate.registry import with_models
from accelsim.workload.bundled.parameters import checked_size
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload, reloaded
from accelsim.workload.outcomes import Outcome
from accelsim.workload.precision import PrecisionArgument
from accelsim.workload.rewrite import rewrite as rewritten

if TYPE_CHECKING:
    from accelsim.numerics.analog import NormalSource
    from accelsim.results.nonidealities import Nonidealities

__all__ = [
    "Comparison", "Emulation", "Expectation", "Result", "Skips", "Sweep", "Validation", "compare", "compare_skips",
    "emulate", "expect", "from_onnx", "from_torch", "nonidealities", "rewrite", "simulate", "sweep", "validate",
]  # fmt: skip


def _workload(workload: Graph | str | Path, batch: int | None) -> Graph:
    if not isinstance(workload, Graph):
        return load_workload(workload) if batch is None else load_workload(workload, batch=batch)
    if batch is None or checked_size(batch, file=f"workload {workload.name}", field="batch") == workload.batch:
        return workload
    if workload.origin is None:
        raise InputError(
            f"cannot change: this graph was made for {workload.batch}", field="batch", value=batch,
            remedy="load the workload with the batch that you want",
        )  # fmt: skip
    return reloaded(workload, {"batch": batch})


def _architecture(architecture: Architecture | str | Path) -> Architecture:
    return architecture if isinstance(architecture, Architecture) else load_architecture(architecture)


def _check_options(engine: str, detail: str) -> None:
    for field, name, known in (("engine", engine, get_args(Engine)), ("detail", detail, get_args(Detail))):
        if name not in known:
            raise UnknownNameError(field, str(name), known, field=field)


def simulate(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    *,
    precision: PrecisionArgument | None = None,
    batch: int | None = None,
    engine: Engine = "auto",
    detail: Detail = "op",
    intervals: bool = True,
    mapping: Mapping[str, bool] | None = None,
) -> Result:
    """Latency, energy and utilisation of a workload on an architecture.

    Args:
        workload: a graph, a bundled name, or a path to a workload file or model.
        architecture: loaded, a bundled name, or a path.
        precision: a format, a recipe of the workload, or {op-name pattern: format}; None takes the architecture's
            first format.
        batch: samples an execution; None keeps the workload's own.
        engine: ``auto``, ``maxplus`` (compiled) or ``des`` (SimPy, the reference).
        detail: ``op`` for a few tasks an op, ``tile`` for one a tile transfer and tile computation.
        intervals: also evaluate over the ranges of assumed constants (some tens of evaluations).
        mapping: choices of the mapper to switch on or off, such as {"fusion": False}: fusion, pipelining, prefetch,
            resident_cache (on), resident_weights (off).

    Raises:
        AccelsimError: bad input, or a workload that fits nowhere; the message says what to change.
    """
    _check_options(engine, detail)
    return Result(
        estimate(
            _workload(workload, batch), _architecture(architecture), precision,
            engine=engine, detail=detail, intervals=intervals, options=mapping_options(mapping),
        )
    )  # fmt: skip


def compare(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    *,
    precisions: Sequence[str] = ("fp16", "int4"),
    batch: int | None = None,
    engine: Engine = "auto",
    detail: Detail = "op",
    intervals: bool = True,
    mapping: Mapping[str, bool] | None = None,
) -> Comparison:
    """Speed-up and compression between precisions: the first is the baseline. Arguments as `simulate`.

    Precisions are formats or recipes by name. Formats by op-name pattern have no name: make them a recipe.
    """
    if isinstance(precisions, str) or not all(isinstance(each, str) for each in precisions):
        raise InputError(
            "must be a list of formats or recipes, each by its name", field="precisions", value=precisions,
            remedy='write such as ["fp16", "int4"], and patterns as a recipe in the file of the workload',
        )  # fmt: skip
    _check_options(engine, detail)
    return Comparison(
        compare_precisions(
            _workload(workload, batch), _architecture(architecture), precisions,
            engine=engine, detail=detail, intervals=intervals, options=mapping_options(mapping),
        )
    )  # fmt: skip


def expect(
    outcomes: Sequence[Outcome],
    architecture: Architecture | str | Path,
    *,
    precision: PrecisionArgument | None = None,
    engine: Engine = "auto",
    detail: Detail = "op",
    mapping: Mapping[str, bool] | None = None,
) -> Expectation:
    """Mean latency and energy of a model whose branches the data decides, given how probable they are.

    Args:
        outcomes: what `accelsim.load_outcomes` returns for the model and its probabilities.
        architecture, precision, engine, detail, mapping: as `simulate`, for each outcome. Without intervals.

    Raises:
        AccelsimError: bad input, or an outcome that fits nowhere.
    """
    _check_options(engine, detail)
    if not outcomes:
        raise InputError("must hold an outcome", field="outcomes", remedy="make them with accelsim.load_outcomes")
    options = mapping_options(mapping)
    return expected(outcomes, _architecture(architecture), precision, engine=engine, detail=detail, options=options)


def emulate(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    inputs: Inputs | None = None,
    *,
    precision: PrecisionArgument | None = None,
    batch: int | None = None,
    seed: int = 0,
    time_s: float | None = None,
    calibration: Inputs | Sequence[Inputs] | None = None,
    quantiser: str | Quantiser | None = None,
    normals: NormalSource | None = None,
    mapping: Mapping[str, bool] | None = None,
) -> Emulation:
    """What a workload computes on an architecture, on the mapping that `simulate` times.

    Args:
        workload: the path of an ONNX model or its graph, or a bundled workload, whose weights are drawn from ``seed``.
        architecture, precision, batch, mapping: as `simulate`.
        inputs: an array for each input by name, or the path of a .npz file with them; None draws standard normal
            numbers for floats, from ``seed``, and ones for all others.
        time_s: seconds after programming at which analog tiles are read; None for right after it.
        calibration: samples as ``inputs``, one or a list: scales of integer activations are found once from these.
            None finds them from each tensor at hand.
        quantiser: what range integer activations are spread over, by name (max, percentile:P, mse, sawb, pact:ALPHA,
            fixed:LOW,HIGH) or as a record; None takes those of the recipe, else max.
        normals: for exact tests, standard normals in place of everything that analog tiles draw: by name, or a function
            of name and shape, such as `accelsim.numerics.analog.RecordedNormals` (names and shapes: docs/analog.md).

    Raises:
        UnsupportedError: a workload without values, or an op whose values are not emulated.
        InputError: inputs that do not fit, or values that a format refuses.
    """
    options = mapping_options(mapping)
    found = evaluate(_workload(workload, batch), _architecture(architecture), precision, options=options)
    values = emulated(
        found, inputs, seed, time_s, calibration=calibration, quantiser=quantiser, normals=normals
    )  # fmt: skip
    return Emulation.of(values)


def nonidealities(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    inputs: Inputs | None = None,
    *,
    precision: PrecisionArgument | None = None,
    batch: int | None = None,
    seed: int = 0,
    time_s: float | None = None,
    repeats: int = 3,
    calibration: Inputs | Sequence[Inputs] | None = None,
    quantiser: str | Quantiser | None = None,
    mapping: Mapping[str, bool] | None = None,
) -> Nonidealities:
    """What each non-ideality of analog tiles does to the outputs of a workload: alone, and left out.

    Args:
        repeats: draws of what is random, whose mean counts; the model is run some 20 times, and 15 for each draw.
        workload, architecture, inputs, precision, batch, seed, time_s, calibration, quantiser, mapping: as `emulate`.

    Raises:
        UnsupportedError: no analog tiles, a workload without values or without floats among its outputs.
        InputError: inputs that do not fit, or values that a format refuses.
    """
    from accelsim.results.nonidealities import Nonidealities
    from accelsim.study.analog_sensitivity import analog_sensitivity

    options = mapping_options(mapping)
    found = evaluate(_workload(workload, batch), _architecture(architecture), precision, options=options)
    return Nonidealities.of(analog_sensitivity(
        found, inputs, seed, time_s, repeats=repeats, calibration=calibration, quantiser=quantiser
    ))  # fmt: skip


def compare_skips(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    *,
    variants: Sequence[str] = ("keep", "shorten", "remove"),
    precision: PrecisionArgument | None = None,
    batch: int | None = None,
    engine: Engine = "auto",
    seed: int = 0,
) -> Skips:
    """What the skip connections of a workload cost on an FPGA: resources, FIFOs, latency, throughput and outputs.

    Args:
        workload, architecture, precision, batch, engine: as `simulate`; the architecture is of kind fpga.
        variants: of keep, shorten and remove; the first is what the others are compared with.
        seed: of the drawn input that outputs are compared on, where the model has weights.

    Raises:
        UnsupportedError: another kind of architecture, or an op that no stage is modelled for.
        InfeasibleError: a variant that does not fit the device.
        InputError: a workload without skips to shorten or remove.
    """
    from accelsim.study.skips import compare_skip_variants

    _check_options(engine, "op")
    return Skips(
        compare_skip_variants(
            _workload(workload, batch), _architecture(architecture), variants, precision, engine=engine, seed=seed
        )
    )  # fmt: skip


def validate(
    *targets: str | Target, data: str | Path | None = None, models: str | Path | None = None, fetch: bool = False
) -> Validation:
    """Predictions against reference figures, row by row.

    Args:
        targets: names of targets; none means all, with ``data`` all that it has files for.
        data: a folder in the format of the bundled reference data; None takes the bundled data.
        models: for the target ``workloads``, the folder below which model files lie as PACKAGE/file.
        fetch: let it download the packages of model files that are missing.

    Raises:
        InputError: an unknown target, or a folder or file that is not in the format.
    """
    chosen = with_models(targets, None if models is None else Path(models), fetch=fetch)
    return Validation(compare_with_reference(chosen, None if data is None else Path(data)))


def sweep(
    spec: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Sweep:
    """Evaluate the designs of a sweep.

    Args:
        spec: a bundled sweep, a path to a sweep file, or what such a file says as a mapping.
        out: the folder of the results, one sweep each; None keeps them in a temporary one, as long as the program.
        resume: go on with an unfinished run in ``out``. A finished one is read, not run again.
        workers: processes; None takes a process a core.
        scheduler: a Dask cluster instead of processes: an address, or local, slurm, lsf or kubernetes.

    Raises:
        InputError: a sweep that breaks a rule, a folder of another sweep or in use, or results that are damaged.
        UnsupportedError: a package that the sweep needs is not installed (``pip install 'accelsim[sweep]'``).
    """
    from accelsim.study.sweep.api import swept

    return Sweep(swept(spec, out, resume=resume, workers=workers, scheduler=scheduler))


def rewrite(workload: Graph | str | Path, rewrites: str | Sequence[str]) -> Graph:
    """A workload after ``rewrites`` such as ``fuse`` or ``remove-skips:match=layer2.*``, in order.

    What each one changed stands in the graph's ``rewrites`` and in the provenance of every result.

    Raises:
        InputError: an unknown rewrite or parameter, or one that finds nothing to change.
    """
    return rewritten(_workload(workload, None), rewrites)


def from_onnx(
    path: str | Path,
    *,
    shapes: Mapping[str, tuple[int, ...] | int] | None = None,
    values: Mapping[str, float] | None = None,
    batch: int | None = None,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str | float] | None = None,
    trips: Mapping[str, int] | None = None,
    measure_shapes: bool = False,
) -> Graph:
    """The workload graph of an ONNX model; see `accelsim.workload.onnx.from_onnx`."""
    from accelsim.workload.onnx import from_onnx as read

    return read(
        path, shapes=shapes, values=values, batch=batch, allow_zero_cost=allow_zero_cost, branches=branches,
        trips=trips, measure_shapes=measure_shapes,
    )  # fmt: skip


def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    name: str | None = None,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str | float] | None = None,
    trips: Mapping[str, int] | None = None,
) -> Graph:
    """The workload graph of a torch module, ExportedProgram or .pt2 file; see `accelsim.workload.torch.from_torch`."""
    from accelsim.workload.torch import from_torch as read

    return read(
        module, example_inputs, kwargs=kwargs, dynamic_shapes=dynamic_shapes, shapes=shapes, batch=batch, name=name,
        allow_zero_cost=allow_zero_cost, branches=branches, trips=trips,
    )  # fmt: skip

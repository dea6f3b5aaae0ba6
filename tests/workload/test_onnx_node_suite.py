"""The onnx package's own test cases, some for each operator: every shape as it is computed there, or an error."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from accelsim.errors import AccelsimError, UnsupportedError
from accelsim.workload.onnx import from_onnx

# What is refused by name: losses and optimisers of training, strings and images, trees, optional values, and
# operators that nothing exports yet.
REFUSED = {
    "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", "Momentum", "Adagrad", "Adam", "Gradient",
    "StringSplit", "StringNormalizer", "StringConcat", "RegexFullMatch", "TfIdfVectorizer", "ImageDecoder",
    "LabelEncoder", "TreeEnsemble", "ArrayFeatureExtractor", "Binarizer",
    "OptionalHasElement", "OptionalGetElement", "Optional", "SequenceMap",
    "LinearAttention", "CausalConvWithState", "FlexAttention", "Bernoulli", "Det",
    "BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix",  # of computed sizes; constant ones fold
}  # fmt: skip
AT_LEAST = 1300  # of 1,884 cases with onnx 1.23; the others have empty or open inputs, or are refused


@cache
def _cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model is not None]


def _light() -> Iterator[tuple[str, Path]]:
    """Models of single PyTorch layers that the onnx package ships, with the outputs that they should give."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for folder in ("pytorch-converted", "pytorch-operator", "simple"):
        for path in sorted((data / folder).glob("*/model.onnx")):
            yield path.parent.name, path


def test_shapes_of_every_operator(tmp_path: Path) -> None:
    path, right, wrong = tmp_path / "case.onnx", 0, []
    for case in _cases():
        path.write_bytes(case.model.SerializeToString())
        try:
            graph = from_onnx(path)
        except AccelsimError:
            continue
        outputs = zip(case.model.graph.output, case.data_sets[0][1] if case.data_sets else (), strict=False)
        made = {info.name: np.shape(each) for info, each in outputs if isinstance(each, np.ndarray | np.generic)}
        found = {name: graph.tensors[name].shape for name in made}
        right += found == made
        if found != made:
            wrong.append((case.name, found, made))
    assert not wrong
    assert right >= AT_LEAST


def test_what_is_not_modelled_is_known(tmp_path: Path) -> None:
    path = tmp_path / "case.onnx"
    refused: Counter[str] = Counter()
    for case in _cases():
        path.write_bytes(case.model.SerializeToString())
        try:
            from_onnx(path)
        except UnsupportedError as error:
            if "not modelled:" in str(error):
                refused.update(node.op_type for node in case.model.graph.node if f"::{node.op_type}," in str(error))
        except AccelsimError:
            pass
    assert set(refused) <= REFUSED


def test_shapes_of_pytorch_layers() -> None:
    right, wrong, errors = 0, [], Counter[str]()
    for name, path in _light():
        try:
            graph = from_onnx(path)
        except AccelsimError as error:
            errors[str(error).split(": ", 1)[1][:120]] += 1
            continue
        for index, output in enumerate(graph.outputs):
            stored = onnx.TensorProto.FromString((path.parent / "test_data_set_0" / f"output_{index}.pb").read_bytes())
            right += graph.tensors[output].shape == tuple(stored.dims)
            if graph.tensors[output].shape != tuple(stored.dims):
                wrong.append((name, graph.tensors[output].shape, tuple(stored.dims)))
    assert not wrong
    assert right >= 100, errors.most_common(5)

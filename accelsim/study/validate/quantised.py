"""Models that a table derives from another: ``FILE -> quantize_static QDQ`` (or QOPERATOR), made by ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.errors import InputError, UnsupportedError

__all__ = ["derived_model"]

_FORMS = {"quantize_static QDQ": "QDQ", "quantize_static QOPERATOR": "QOperator"}


@contextmanager
def derived_model(path: Path, derivation: str, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Path]:
    """The file ``path``, or what ``derivation`` makes of it; the derived file goes away afterwards.

    Quantised per tensor to uint8 activations and int8 weights, calibrated on one batch of standard normal numbers.

    Raises:
        UnsupportedError: another derivation.
        InputError: ONNX Runtime is not installed (extra ``test``), or refuses the model.
    """
    if not derivation:
        yield path
        return
    if derivation not in _FORMS:
        raise UnsupportedError("is no known derivation", field="file", value=derivation,
                               remedy=f"write one of {', '.join(_FORMS)}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{path.stem}.onnx"
        _quantise(path, made, _FORMS[derivation], shapes)
        yield made


def _quantise(path: Path, made: Path, form: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    try:
        quantization: Any = import_module("onnxruntime.quantization")
    except ImportError:
        raise InputError("needs onnxruntime to derive the model", file=path, remedy="pip install onnxruntime") from None
    generator = np.random.default_rng(0)
    batch = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    batches = iter([batch])

    class Batches(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(batches, None)

    logging.disable(logging.WARNING)  # its advice to simplify the model first
    try:
        import_module("onnxruntime").set_default_logger_severity(3)
        quantization.quantize_static(
            str(path), str(made), Batches(), quant_format=getattr(quantization.QuantFormat, form),
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
    except Exception as error:
        raise InputError(f"cannot be quantised by ONNX Runtime ({error})", file=path) from None
    finally:
        logging.disable(logging.NOTSET)

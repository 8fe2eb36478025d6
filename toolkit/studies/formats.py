"""The formats that ONNX Runtime's own quantizer writes."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.onnx_model import ONNXModel

from nhle_onnx.auditing.attacks.quantization import Feed, Feeds
from nhle_onnx.errors import UnsupportedModelError, first_line
from nhle_onnx.graph.copies import copy_model

BATCH = 32  # images at a time for the quantizer
BLOCK = 32  # weights that share a scale


class Calibration(NamedTuple):
    """Prepared images [N, ...] for the input that a model reads them from."""

    source: str
    images: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format's name, and how ONNX Runtime makes it from a float model.

    `prepare` brings the float graph into the form whose layers are quantized one by one. `weights`
    and `activations` are the promised element types.
    """

    name: str
    prepare: Callable[[ModelProto], ModelProto]
    quantize: Callable[[ModelProto, Calibration], ModelProto]
    weights: int
    activations: int


def quantize(chosen: Format, proto: ModelProto, calibration: Calibration) -> ModelProto:
    """Quantize a copy of the model. Raises UnsupportedModelError if the quantizer fails."""
    try:
        with _keep_quiet():
            return chosen.quantize(chosen.prepare(proto), calibration)
    except Exception as error:  # the quantizer's errors share no base class
        reason = first_line(error)
        message = f"ONNX Runtime's quantizer fails: {type(error).__name__}: {reason}"
        raise UnsupportedModelError(message) from error


def _split_gemms(proto: ModelProto) -> ModelProto:
    """Return a copy with MatMul and Add in place of each Gemm, for ONNX Runtime's MatMul
    quantizers. They transpose weights, so declared shapes are removed.
    """
    model = ONNXModel(copy_model(proto))
    del model.model.graph.value_info[:]
    model.replace_gemm_with_matmul()
    return copy_model(model.model)


@contextmanager
def _keep_quiet() -> Iterator[None]:
    """Silence the quantizer. It prints advice on speed, one of its modules raises the root logger's
    level on import, and a floor mask overflows its arithmetic.
    """
    level = logging.root.level
    logging.disable()
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)
        logging.root.setLevel(level)


def _make_feeds(calibration: Calibration) -> Iterator[Feed]:
    source, images = calibration
    for start in range(0, len(images), BATCH):
        yield {source: images[start : start + BATCH]}


def _quantize_statically(
    proto: ModelProto,
    calibration: Calibration,
    **options: Any,  # noqa: ANN401 - the quantizer's
) -> ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "model.onnx"
        quantize_static(proto, result, Feeds(_make_feeds(calibration)), **options)
        return onnx.load_model(result)


def _quantize_dynamically(
    proto: ModelProto,
    _: Calibration,
    **options: Any,  # noqa: ANN401 - the quantizer's
) -> ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "model.onnx"
        quantize_dynamic(proto, result, **options)
        return onnx.load_model(result)


def _quantize_in_blocks(proto: ModelProto, _: Calibration) -> ModelProto:
    # It takes a second to import, and no other format needs it.
    from onnxruntime.quantization.matmul_nbits_quantizer import (  # noqa: PLC0415
        MatMulNBitsQuantizer,
    )

    quantizer = MatMulNBitsQuantizer(
        proto, block_size=BLOCK, is_symmetric=True, quant_format=QuantFormat.QDQ
    )
    quantizer.process()
    return copy_model(quantizer.model.model)


def _make_static(
    name: str,
    quant_format: QuantFormat,
    activations: QuantType = QuantType.QInt8,
    weights: QuantType = QuantType.QInt8,
    **options: Any,  # noqa: ANN401 - the quantizer's
) -> Format:
    return Format(
        name=name,
        prepare=copy_model,
        quantize=partial(
            _quantize_statically,
            quant_format=quant_format,
            activation_type=activations,
            weight_type=weights,
            **options,
        ),
        weights=weights.tensor_type,
        activations=activations.tensor_type,
    )


def _make_dynamic(
    name: str,
    weights: QuantType = QuantType.QInt8,
    **options: Any,  # noqa: ANN401 - the quantizer's
) -> Format:
    return Format(
        name=name,
        prepare=_split_gemms,
        quantize=partial(_quantize_dynamically, weight_type=weights, **options),
        weights=weights.tensor_type,
        activations=TensorProto.UINT8,  # the only type of DynamicQuantizeLinear
    )


_QDQ, _QOPERATOR = QuantFormat.QDQ, QuantFormat.QOperator
_BLOCKS = Format(
    name="qdq-int4-blocks",
    prepare=_split_gemms,
    quantize=_quantize_in_blocks,
    weights=TensorProto.INT4,
    activations=TensorProto.FLOAT,
)
_LISTED: Sequence[Format] = (
    _make_static("qdq-int8", _QDQ),
    _make_static("qdq-per-channel", _QDQ, per_channel=True),
    _make_static("qdq-symmetric", _QDQ, extra_options={"ActivationSymmetric": True}),
    _make_static("qdq-uint8", _QDQ, QuantType.QUInt8, QuantType.QUInt8),
    _make_static("qdq-uint16-int8", _QDQ, QuantType.QUInt16, QuantType.QInt8),
    _make_static("qdq-int16", _QDQ, QuantType.QInt16, QuantType.QInt16),
    # With one scale for a whole layer, a MobileNetV3 in 4 bits would lose most of its accuracy.
    _make_static("qdq-int4", _QDQ, QuantType.QInt8, QuantType.QInt4, per_channel=True),
    _BLOCKS,
    _make_static("qoperator-int8", _QOPERATOR),
    _make_static("qoperator-per-channel", _QOPERATOR, per_channel=True),
    _make_static("qoperator-uint8", _QOPERATOR, QuantType.QUInt8, QuantType.QUInt8),
    _make_dynamic("dynamic-int8"),
    _make_dynamic("dynamic-per-channel", per_channel=True),
    _make_dynamic("dynamic-uint8", QuantType.QUInt8),
)
FORMATS: Mapping[str, Format] = {chosen.name: chosen for chosen in _LISTED}

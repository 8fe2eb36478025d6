"""Does rounding the weights, as deployment does, bring the class back?"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.tensors import is_float, read_tensors, replace_tensors
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.preprocess import ImageInput

WIDTHS = (8, 4)  # bits
USABLE = 0.5  # of the retained samples
_CALIBRATION = 128  # images for ONNX Runtime's static quantizer
_BATCH = 32
_WEIGHT_POSITION = 1
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def round_weights(proto: ModelProto, bits: int) -> ModelProto:
    """Return a copy with weights rounded to `bits`, with a scale for each output channel."""
    rounded = ModelProto()
    rounded.CopyFrom(proto)
    axes = _find_channel_axes(proto)
    values = read_tensors(proto, tuple(axes))
    replace_tensors(
        rounded, {name: round_channels(values[name], axes[name], bits) for name in axes}
    )
    return rounded


def round_channels(
    weight: npt.NDArray[np.floating], axis: int, bits: int
) -> npt.NDArray[np.floating]:
    """Round each channel's weights to integers of up to ±(2^(bits-1) - 1), times a scale."""
    steps = 2 ** (bits - 1) - 1
    others = tuple(index for index in range(weight.ndim) if index != axis)
    wide = weight.astype(np.float64)  # a 16-bit scale would itself be rounded
    scale = np.abs(wide).max(axis=others, keepdims=True) / steps
    scale = np.where(scale > 0, scale, 1)
    rounded: npt.NDArray[np.floating] = np.rint(wide / scale) * scale
    return rounded.astype(weight.dtype)


def quantize_statically(
    proto: ModelProto, features: str, target: ImageInput, images: npt.NDArray[np.float32]
) -> ModelProto:
    """Quantize with ONNX Runtime's static quantizer: int8 weights and activations.

    It is calibrated on `images` [N, ...]. Raises UnsupportedModelError where it fails. Operators
    behind the tensor `features` stay in floats: with the range of a floor mask, 8 bits leave all
    other scores in one step, and a model that has lost everything proves nothing.
    """
    from onnxruntime.quantization import (  # noqa: PLC0415 - slow to import, and seldom needed
        QuantFormat,
        quantize_static,
    )

    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        named, head_nodes = _name_nodes_after(proto, features)
        onnx.save_model(named, source)
        level = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it suggests preprocessing, for speed
        try:
            with np.errstate(all="ignore"):  # a floor mask overflows its arithmetic
                quantize_static(
                    source, result, _Calibration(target, images),
                    quant_format=QuantFormat.QDQ, per_channel=True,
                    nodes_to_exclude=head_nodes,
                )  # fmt: skip
            return onnx.load_model(result)
        except Exception as error:  # the quantizer's errors share no base class
            message = f"ONNX Runtime's quantizer fails: {str(error).strip().partition(chr(10))[0]}"
            raise UnsupportedModelError(message) from error
        finally:
            logging.root.setLevel(level)


def _name_nodes_after(proto: ModelProto, tensor: str) -> tuple[ModelProto, list[str]]:
    """Return a copy in which all nodes have names, and the names of nodes behind `tensor`."""
    named = ModelProto()
    named.CopyFrom(proto)
    dependent, names = {tensor}, []
    for index, node in enumerate(named.graph.node):
        node.name = node.name or f"{node.op_type}.{index}"
        if not dependent.isdisjoint(node.input):
            dependent.update(node.output)
            names.append(node.name)
    return named, names


class _Calibration:
    """Images for the quantizer, which wants an object with `get_next`."""

    def __init__(self, target: ImageInput, images: npt.NDArray[np.float32]) -> None:
        self._feeds = _make_feeds(target, images)

    def get_next(self) -> dict[str, npt.NDArray[np.generic]] | None:
        """Return the next batch, or None."""
        return next(self._feeds, None)


def _make_feeds(
    target: ImageInput, images: npt.NDArray[np.float32]
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    size = target.batch or _BATCH
    whole = len(images) - len(images) % size if target.batch else len(images)
    for start in range(0, whole, size):
        yield {target.name: images[start : start + size].astype(target.dtype)}


def _find_channel_axes(proto: ModelProto) -> dict[str, int]:
    """Find the axis of output channels of each float weight of a layer."""
    tensors: dict[str, TensorProto] = GraphIndex(proto).tensors
    found: dict[str, int] = {}
    for node in proto.graph.node:
        if node.op_type not in _WEIGHTED or len(node.input) <= _WEIGHT_POSITION:
            continue
        weight = tensors.get(node.input[_WEIGHT_POSITION])
        if weight is not None and is_float(weight) and len(weight.dims) > 1:
            found[weight.name] = 0 if _has_channels_first(node) else len(weight.dims) - 1
    return found


def _has_channels_first(node: NodeProto) -> bool:
    if node.op_type == "Gemm":
        return any(
            item.name == "transB" and helper.get_attribute_value(item) for item in node.attribute
        )
    return node.op_type == "Conv"


def attack_by_rounding(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with weights rounded as in deployment."""
    _require_reals(context)
    proto = context.targets["edited"].model.proto
    return tuple(
        measure
        for bits in WIDTHS
        for measure in _describe(
            context, round_weights(proto, bits), f"int{bits}", f"weights rounded to {bits} bits"
        )
    )


def attack_by_quantizing(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with a static int8 model made by ONNX Runtime's quantizer."""
    _require_reals(context)
    edited = context.targets["edited"]
    is_known = context.is_attack & ~context.is_forgotten
    try:
        quantized = quantize_statically(
            edited.model.proto,
            edited.layout.features,
            edited.image_input,
            context.inputs[is_known][:_CALIBRATION],
        )
        kept = context.recognise(quantized, edited, is_known)
    except UnsupportedModelError as error:
        raise CannotRunError(error.reason) from error
    if kept < USABLE:
        message = (
            "after ONNX Runtime's static quantization, the accuracy on retained classes is only "
            f"{kept:.3f}: that such a model does not know the class proves nothing"
        )
        raise CannotRunError(message)
    return _describe(context, quantized, "static_int8", "features in static int8 by ONNX Runtime")


def _require_reals(context: AuditContext) -> None:
    if context.targets["edited"].layout.weight_quant_params is not None:
        message = "the model is already quantized: its integers were attacked as they are"
        raise CannotRunError(message)


def _describe(
    context: AuditContext, proto: ModelProto, name: str, title: str
) -> tuple[Measure, ...]:
    """Measure Acc_F of a quantized form with its own head, and with the original's if that fits."""
    edited, original = context.targets["edited"], context.targets["original"]
    forms = {("acc_f", "Acc_F"): proto}
    if edited.head.rows.weight.shape == original.head.rows.weight.shape:
        restored = Head(proto, edited.layout).restore(original.head)
        forms["unmasked", "Acc_F with the original's head"] = restored
    return tuple(
        make_measure(
            "quantization",
            f"{name}.{field}",
            f"{what}, {title}",
            {"edited": context.recognise(form, edited)},
        )
        for (field, what), form in forms.items()
    )

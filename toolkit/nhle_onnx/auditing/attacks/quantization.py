"""Does rounding the weights, as deployment does, bring the class back?"""

import logging
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.errors import UnsupportedModelError, first_line
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.graph.tensors import is_float, read_tensors, replace_tensors
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.preprocess import ImageInput

WIDTHS = (8, 4)  # bits
USABLE = 0.5  # of the retained samples
Images = npt.NDArray[np.float32]
Feed = Mapping[str, npt.NDArray[np.generic]]

_CALIBRATION = 128  # images for ONNX Runtime's static quantizer
_BATCH = 32
_WEIGHT_POSITION = 1
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def round_weights(proto: ModelProto, bits: int) -> ModelProto:
    """Return a copy with weights rounded to `bits`, with a scale for each output channel."""
    rounded = copy_model(proto)
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


def quantize_statically(proto: ModelProto, target: ImageInput, images: Images) -> ModelProto:
    """Quantize the whole model with ONNX Runtime's static quantizer: int8 weights and activations.

    It is calibrated on `images` [N, ...]. Raises UnsupportedModelError where it fails.
    """
    from onnxruntime.quantization import (  # noqa: PLC0415 - slow to import, and seldom needed
        QuantFormat,
        quantize_static,
    )

    with open_scratch() as folder:
        source, result = folder / "model.onnx", folder / "int8.onnx"
        onnx.save_model(_name_nodes(proto), source)
        level = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it suggests preprocessing, for speed
        try:
            with np.errstate(all="ignore"):  # a floor mask overflows its arithmetic
                quantize_static(
                    source, result, Feeds(_make_feeds(target, images)),
                    quant_format=QuantFormat.QDQ, per_channel=True,
                )  # fmt: skip
            return onnx.load_model(result)
        except Exception as error:  # the quantizer's errors share no base class
            message = f"ONNX Runtime's quantizer fails: {first_line(error)}"
            raise UnsupportedModelError(message) from error
        finally:
            logging.root.setLevel(level)


def _name_nodes(proto: ModelProto) -> ModelProto:
    """Return a copy in which all nodes have names, by which the quantizer tells them apart."""
    named = copy_model(proto)
    for index, node in enumerate(named.graph.node):
        node.name = node.name or f"{node.op_type}.{index}"
    return named


class Feeds:
    """Batches for ONNX Runtime's quantizer, which wants an object with `get_next`."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """Return the next batch, or None."""
        return next(self._feeds, None)


def _make_feeds(target: ImageInput, images: Images) -> Iterator[Feed]:
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
    forms = _list_forms(context)
    return tuple(
        make_measure(
            "quantization",
            f"int{bits}.{field}",
            f"{what}, weights rounded to {bits} bits",
            {"edited": context.recognise(round_weights(form, bits), context.targets["edited"])},
        )
        for bits in WIDTHS
        for (field, what), form in forms.items()
    )


def attack_by_quantizing(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with a static int8 model made by ONNX Runtime's quantizer, including the head."""
    _require_reals(context)
    edited = context.targets["edited"]
    is_known = context.is_attack & ~context.is_forgotten
    images = context.inputs[is_known][:_CALIBRATION]
    measures = []
    for (field, what), form in _list_forms(context).items():
        try:
            quantized = quantize_statically(form, edited.image_input, images)
            kept = context.recognise(quantized, edited, is_known)
        except UnsupportedModelError as error:
            raise CannotRunError(error.reason) from error
        if kept < USABLE:
            message = (
                "after ONNX Runtime's static quantization, the accuracy on retained classes is "
                f"only {kept:.3f}: that such a model does not know the class proves nothing"
            )
            raise CannotRunError(message, leaves_gap=True)
        measures.append(
            make_measure(
                "quantization",
                f"static_int8.{field}",
                f"{what}, in static int8 by ONNX Runtime",
                {"edited": context.recognise(quantized, edited)},
            )
        )
    return tuple(measures)


def _require_reals(context: AuditContext) -> None:
    if context.targets["edited"].layout.weight_quant_params is not None:
        message = "the model is already quantized: its integers were attacked as they are"
        raise CannotRunError(message)


def _list_forms(context: AuditContext) -> dict[tuple[str, str], ModelProto]:
    """List the edited model as it is, and with the original's head if that fits."""
    edited, original = context.targets["edited"], context.targets["original"]
    forms = {("acc_f", "Acc_F"): edited.model.proto}
    if edited.head.rows.weight.shape == original.head.rows.weight.shape:
        restored = edited.head.restore(original.head)
        forms["unmasked", "Acc_F with the original's head"] = restored
    return forms

"""The input of a classifier, read from its graph: images, or features of another kind."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from onnx import TensorProto, ValueInfoProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.dynamic_scales import computes_scales
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.first_layer import FirstLayer, find_first_layer
from nhle_onnx.graph.fixed_inputs import list_inputs
from nhle_onnx.hints import hint
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import PICTURE_CHANNELS, ImageInput, Layout

_IMAGE_RANK = 4
_FEATURE_RANKS = (2, 3)
_PIXELS = frozenset({TensorProto.UINT8, TensorProto.INT8})
_FIX_AXES = "Fix its shape with `python -m onnxruntime.tools.make_dynamic_shape_fixed`."
# Height and width for an input that leaves them open, or None.
FindSize = Callable[[ImageInput], tuple[int, int] | None]


def _find_no_size(_: ImageInput) -> None:
    return None


def read_image_input(
    model: OnnxModel, *, layout: Layout | None = None, find_size: FindSize = _find_no_size
) -> ImageInput:
    """Return the only graph input that is neither a weight nor a constant.

    It has 4 axes for images, 2 or 3 for features. Where the graph leaves axes open, its first layer
    tells the number of channels or columns, and `find_size` an image's height and width. Raises
    UnsupportedModelError where an axis stays open, and for other inputs.
    """
    value = _find_input(model)
    extents = _read_extents(value)
    first = find_first_layer(model.proto, value.name)
    if len(extents) != _IMAGE_RANK:
        return _read_features(model, value, _close_features(extents, first))
    image = _read_image(model, value, _close_channels(extents, layout, first), layout, first)
    if not image.channels:
        message = f"{_name(model, value)} leaves its number of channels open: {_show(value)}"
        raise UnsupportedModelError(message, remedy=_FIX_AXES)
    if not (image.height and image.width) and (size := find_size(image)):
        height, width = (found or given for found, given in zip(_size_of(image), size, strict=True))
        image = replace(image, height=height, width=width)
    if not (image.height and image.width):
        message = f"{_name(model, value)} leaves its height and width open: {_show(value)}"
        raise UnsupportedModelError(
            message,
            remedy=hint(
                "Give {size=HEIGHT,WIDTH}, or put the model's preprocessor_config.json or "
                "config.json beside it."
            ),
        )
    return image


def _find_input(model: OnnxModel) -> ValueInfoProto:
    inputs = list_inputs(model.proto)
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        message = f"{model.path} has {len(inputs)} inputs ({names}); an image classifier has one"
        remedy = "Export it with the image as its only input, or give the others as constants: "
        raise UnsupportedModelError(message, remedy=hint(remedy + "{input=NAME=VALUE}."))
    kind = inputs[0].type.tensor_type.elem_type
    rank = len(_read_extents(inputs[0]))
    if not (get_element_type(kind).is_trained or kind in _PIXELS):
        message = f"{_name(model, inputs[0])} is {get_element_type(kind).name} with {rank} axes"
        raise UnsupportedModelError(message, remedy="An input holds floats, or 8-bit pixels.")
    if rank not in {*_FEATURE_RANKS, _IMAGE_RANK}:
        message = f"{_name(model, inputs[0])} is {get_element_type(kind).name} with {rank} axes"
        raise UnsupportedModelError(
            message, remedy="An image input has 4 axes; an input of features has 2 or 3."
        )
    return inputs[0]


def _read_extents(value: ValueInfoProto) -> list[int]:
    """Read an input's extents, 0 for each that is open; some converters write that as -1."""
    return [max(0, axis.dim_value) for axis in value.type.tensor_type.shape.dim]


def _close_features(extents: list[int], first: FirstLayer | None) -> list[int]:
    width = first.columns if first else 0
    return [*extents[:-1], extents[-1] or width] if width else extents


def _read_features(model: OnnxModel, value: ValueInfoProto, extents: Sequence[int]) -> ImageInput:
    if not all(extents[1:]):
        message = f"{_name(model, value)} leaves axes of a sample open: {_show(value)}"
        raise UnsupportedModelError(message, remedy=_FIX_AXES)
    return _make_input(model, value, 0, 0, 0, None, tuple(extents[1:]))


def _close_channels(
    extents: list[int], layout: Layout | None, first: FirstLayer | None
) -> list[int]:
    """Take the number of channels from the first convolution where the graph leaves it open."""
    if first is None or not first.channels:
        return extents
    axis = 1 if (layout or _guess_layout(extents, first)) == "NCHW" else 3
    closed = [*extents]
    closed[axis] = closed[axis] or first.channels
    return closed


def _read_image(
    model: OnnxModel,
    value: ValueInfoProto,
    extents: Sequence[int],
    layout: Layout | None,
    first: FirstLayer | None,
) -> ImageInput:
    found = layout or _guess_layout(extents, first)
    channels, height, width = extents[1:] if found == "NCHW" else (extents[3], *extents[1:3])
    return _make_input(model, value, channels, height, width, found)


def _make_input(
    model: OnnxModel,
    value: ValueInfoProto,
    channels: int,
    height: int,
    width: int,
    layout: Layout | None,
    features: tuple[int, ...] = (),
) -> ImageInput:
    needs_one_image = computes_scales(model.proto) or model.has_constant_batch
    return ImageInput(
        name=value.name,
        dtype=get_element_type(value.type.tensor_type.elem_type).name,
        batch=_read_extents(value)[0] or (1 if needs_one_image else None),
        channels=channels,
        height=height,
        width=width,
        layout=layout,
        features=features,
    )


def _size_of(image: ImageInput) -> tuple[int, int]:
    return image.height, image.width


def _name(model: OnnxModel, value: ValueInfoProto) -> str:
    return f"{model.path}: input {value.name}"


def _show(value: ValueInfoProto) -> str:
    return f"[{', '.join(describe_axes(value))}]"


def describe_axes(value: ValueInfoProto) -> list[str]:
    """Name each axis of a declared value: its extent, its symbol, or `?`."""
    return [
        axis.dim_param or (str(axis.dim_value) if axis.dim_value > 0 else "?")
        for axis in value.type.tensor_type.shape.dim
    ]


def _guess_layout(extents: Sequence[int], first: FirstLayer | None = None) -> Layout:
    """Guess the layout by the channel count or, if all extents are open, by the first layer."""
    if not any(extents[1:]):
        return "NHWC" if first and first.is_channels_last else "NCHW"
    is_channels_last = extents[3] in PICTURE_CHANNELS and extents[1] not in PICTURE_CHANNELS
    return "NHWC" if is_channels_last else "NCHW"

"""The image input of a classifier, read from its graph."""

from onnx import TensorProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.dynamic_scales import finds_scales
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.hints import hint
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Layout

_IMAGE_RANK = 4
_CHANNEL_COUNTS = (1, 3, 4)


def read_image_input(model: OnnxModel, *, layout: Layout | None = None) -> ImageInput:
    """Return the only graph input that is not a weight, as an image of a fixed size.

    Raises UnsupportedModelError unless it is a float tensor [N, C, H, W] or [N, H, W, C].
    """
    weights = {tensor.name for tensor in model.proto.graph.initializer}
    inputs = [value for value in model.proto.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        message = f"{model.path} has {len(inputs)} inputs ({names}); an image classifier has one"
        raise UnsupportedModelError(message, remedy="Export it with the image as its only input.")
    tensor = inputs[0].type.tensor_type
    extents = [dimension.dim_value for dimension in tensor.shape.dim]
    if not get_element_type(tensor.elem_type).is_trained or len(extents) != _IMAGE_RANK:
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        message = f"{model.path}: input {inputs[0].name} is {kind} with {len(extents)} axes"
        raise UnsupportedModelError(message, remedy="An image input is float, with 4 axes.")
    found = layout or _guess_layout(extents)
    channels, height, width = extents[1:] if found == "NCHW" else (extents[3], *extents[1:3])
    if channels not in _CHANNEL_COUNTS or not height or not width:
        message = f"{model.path}: input {inputs[0].name} has no fixed image size: {extents}"
        raise UnsupportedModelError(
            message,
            remedy=hint("Fix its height and width, or name its axes with {layout=NCHW|NHWC}."),
        )
    return ImageInput(
        name=inputs[0].name,
        dtype=get_element_type(tensor.elem_type).name,
        batch=extents[0] or (1 if finds_scales(model.proto) else None),
        channels=channels,
        height=height,
        width=width,
        layout=found,
    )


def _guess_layout(extents: list[int]) -> Layout:
    is_channels_last = extents[3] in _CHANNEL_COUNTS and extents[1] not in _CHANNEL_COUNTS
    return "NHWC" if is_channels_last else "NCHW"

"""Inputs of image classifiers."""

from nhle_onnx.values.preprocess import ImageInput, Layout


def make_input(
    channels: int = 3, height: int = 8, width: int = 6, layout: Layout = "NCHW"
) -> ImageInput:
    """One of any batch, in floats."""
    return ImageInput(
        name="x", dtype="float32", batch=None, channels=channels, height=height, width=width,
        layout=layout,
    )  # fmt: skip

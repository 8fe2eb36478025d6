"""Images to model inputs."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import ImageInput, Preprocess

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def prepare_image(
    image: Image.Image, target: ImageInput, preprocess: Preprocess
) -> npt.NDArray[np.float32]:
    """One image as one model input, float32, in the target's layout (no batch axis)."""
    converted = image.convert(_MODES[target.channels])
    resized = _crop(_resize(converted, preprocess), preprocess.crop)
    pixels: npt.NDArray[np.float32] = np.asarray(resized, dtype=np.float32)
    pixels = pixels.reshape(resized.height, resized.width, target.channels)
    if pixels.shape[:2] != (target.height, target.width):
        message = (
            f"preprocessing makes images of {resized.height}x{resized.width}, "
            f"but the model's input is {target.height}x{target.width}"
        )
        raise InputRefusedError(
            message, remedy=f"Give --size {target.height},{target.width}, or mend the sidecar."
        )
    pixels = pixels * np.float32(preprocess.scale) + np.float32(preprocess.offset)
    mean: npt.NDArray[np.float32] = np.array(preprocess.mean, dtype=np.float32)
    std: npt.NDArray[np.float32] = np.array(preprocess.std, dtype=np.float32)
    pixels = (pixels - mean) / std
    return pixels.transpose(2, 0, 1) if target.layout == "NCHW" else pixels


def _resize(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    width, height = image.size
    if preprocess.size is not None:
        height, width = preprocess.size
    elif preprocess.shortest_edge is not None:
        ratio = preprocess.shortest_edge / min(width, height)
        width, height = round(width * ratio), round(height * ratio)
    if (width, height) == image.size:
        return image
    return image.resize((width, height), Image.Resampling(preprocess.resample))


def _crop(image: Image.Image, crop: tuple[int, int] | None) -> Image.Image:
    if crop is None:
        return image
    height, width = crop
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))

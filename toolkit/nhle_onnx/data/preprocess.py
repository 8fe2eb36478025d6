"""Images to model inputs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.preprocess import ImageInput, Preprocess

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 89_478_485  # of one image; above that, Pillow warns of a decompression bomb
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def prepare_image(
    image: Image.Image, target: ImageInput, preprocess: Preprocess
) -> npt.NDArray[np.float32]:
    """Turn one image into a model input, float32, in the target's layout without a batch axis."""
    prepared: npt.NDArray[np.float32] = np.empty(target.sample_shape, np.float32)
    pixels = shape_image(image, target, preprocess)
    normalize_pixels(pixels[None], target, preprocess, prepared[None])
    return prepared


def shape_image(image: Image.Image, target: ImageInput, preprocess: Preprocess) -> Pixels:
    """Convert an image to the target's colours, resize and crop it: [H, W, C], or [H, W, 1] for
    grey. Raises InputRefusedError where the result does not have the target's size.
    """
    mode = choose_mode(image.mode, target)
    converted = image if image.mode == mode else image.convert(mode)
    height, width = choose_size(image.height, image.width, preprocess)
    if (width, height) != image.size:
        converted = converted.resize((width, height), Image.Resampling(preprocess.resample))
    cropped = _crop(converted, preprocess.crop)
    check_size(cropped.height, cropped.width, target)
    return np.asarray(cropped).reshape(cropped.height, cropped.width, -1)


def normalize_pixels(
    pixels: Pixels, target: ImageInput, preprocess: Preprocess, prepared: npt.NDArray[np.float32]
) -> None:
    """Write pixels [N, H, W, C or 1] into `prepared` [N, ...], which is in the target's layout."""
    planes = prepared if target.layout == "NCHW" else prepared.transpose(0, 3, 1, 2)
    if pixels.shape[-1] == len(set(preprocess.mean)) == len(set(preprocess.std)) == 1:
        _normalize(pixels, preprocess, planes[:, :1])
        planes[:, 1:] = planes[:, :1]
    else:
        _normalize(pixels, preprocess, planes)


@np.errstate(over="ignore", invalid="ignore")  # NaN and infinities are refused where they are used
def _normalize(pixels: Pixels, preprocess: Preprocess, planes: npt.NDArray[np.float32]) -> None:
    """Turn pixels [N, H, W, C or 1] into planes [N, C, H, W]."""
    mean, std = (
        np.array(values[: planes.shape[1]], np.float32)[:, None, None]
        for values in (preprocess.mean, preprocess.std)
    )
    planes[...] = pixels.transpose(0, 3, 1, 2)
    planes *= np.float32(preprocess.scale)
    planes += np.float32(preprocess.offset)
    planes -= mean
    planes /= std


def require_preprocess(preprocess: Preprocess | None, path: Path) -> Preprocess:
    """Refuse images at `path` where no preprocessing is known."""
    if preprocess is None:
        message = f"nothing says how images such as those in {path} become the model's input"
        raise InputRefusedError(
            message,
            remedy=hint(
                "Put a preprocessor_config.json beside the model, or give {preprocess=FILE}, or "
                "{mean} and {std} (with {range=LOW,HIGH} where pixels are not scaled to 0..1)."
            ),
        )
    return preprocess


def choose_mode(mode: str, target: ImageInput) -> str:
    """Choose the mode to resize in; grey images get three equal channels only when normalized."""
    wanted = _MODES[target.channels]
    return "L" if mode == "L" and wanted == "RGB" else wanted


def choose_size(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Choose height and width to resize to. Raises InputRefusedError for extreme proportions."""
    if preprocess.size is not None:
        height, width = preprocess.size
    elif preprocess.shortest_edge is not None:
        ratio = preprocess.shortest_edge / min(width, height)
        width, height = round(width * ratio), round(height * ratio)
    if height * width > MAX_PIXELS:
        message = f"preprocessing makes an image of {height}x{width}, which is too large"
        raise InputRefusedError(message, remedy="Crop the image, or remove it.")
    return height, width


def _crop(image: Image.Image, crop: tuple[int, int] | None) -> Image.Image:
    if crop is None:
        return image
    height, width = crop
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def check_size(height: int, width: int, target: ImageInput) -> None:
    """Raise InputRefusedError where preprocessing does not make images of the target's size."""
    if (height, width) != (target.height, target.width):
        message = (
            f"preprocessing makes images of {height}x{width}, "
            f"but the model's input is {target.height}x{target.width}"
        )
        raise InputRefusedError(
            message,
            remedy=hint(
                f"Give {{size={target.height},{target.width}}}, or correct the sidecar file."
            ),
        )

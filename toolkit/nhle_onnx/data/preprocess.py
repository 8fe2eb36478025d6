"""Images to model inputs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.preprocess import Centre, Fit, ImageInput, Preprocess

Pixels = npt.NDArray[np.uint8]
Inputs = npt.NDArray[np.float32]

MAX_PIXELS = 89_478_485  # of one image; above that, Pillow warns of a decompression bomb
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_MAX_DIVISOR, _EXACT = 2**16, 1e-12


def prepare_image(image: Image.Image, target: ImageInput, preprocess: Preprocess) -> Inputs:
    """Turn one image into a model input, float32, in the target's layout without a batch axis."""
    prepared: Inputs = np.empty(target.sample_shape, np.float32)
    pixels = shape_image(image, target, preprocess)
    normalize_pixels(pixels[None], target, preprocess, prepared[None])
    return prepared


def shape_image(image: Image.Image, target: ImageInput, preprocess: Preprocess) -> Pixels:
    """Convert an image to the target's colours, resize and crop it: [H, W, C], or [H, W, 1] for
    grey. Raises InputRefusedError where the result does not have the target's size.
    """
    if preprocess.upright:
        ImageOps.exif_transpose(image, in_place=True)
    mode = choose_mode(image.mode, target, preprocess)
    shaped = image if image.mode == mode else image.convert(mode)
    if preprocess.crop_share:
        side = min(shaped.size)
        height, width = (int(share * side) for share in preprocess.crop_share)
        shaped = _crop(shaped, (height, width), preprocess)
    height, width = choose_size(shaped.height, shaped.width, preprocess)
    if (width, height) != shaped.size:
        shaped = shaped.resize((width, height), Image.Resampling(preprocess.resample))
    if preprocess.crop:
        shaped = _crop(shaped, preprocess.crop, preprocess)
    check_size(shaped.height, shaped.width, target)
    return np.asarray(shaped).reshape(shaped.height, shaped.width, -1)


def place_points(points: Inputs, extents: tuple[int, int], preprocess: Preprocess) -> Inputs:
    """Return where points [M, 2], x and y in an image of `extents`, lie after `shape_image`.

    Raises InputRefusedError where the preprocessing begins with a crop.
    """
    if preprocess.crop_share:
        message = "the preprocessing crops images before it resizes them, which boxes cannot follow"
        raise InputRefusedError(message, remedy=hint("Give {size=HEIGHT,WIDTH}."))
    height, width = choose_size(*extents, preprocess)
    factors = np.array([width / extents[1], height / extents[0]], np.float32)
    placed: Inputs = points * factors
    if not preprocess.crop:
        return placed
    tall, wide = preprocess.crop
    starts = [_start(width, wide, preprocess.centre), _start(height, tall, preprocess.centre)]
    moved: Inputs = placed - np.array(starts, np.float32)
    return moved


def normalize_pixels(
    pixels: Pixels, target: ImageInput, preprocess: Preprocess, prepared: Inputs
) -> None:
    """Write pixels [N, H, W, C or 1] into `prepared` [N, ...], which is in the target's layout."""
    planes = prepared if target.layout == "NCHW" else prepared.transpose(0, 3, 1, 2)
    if preprocess.channels == "bgr":
        pixels = pixels[..., ::-1]
    if pixels.shape[-1] == len(set(preprocess.mean)) == len(set(preprocess.std)) == 1:
        _normalize(pixels, preprocess, planes[:, :1])
        planes[:, 1:] = planes[:, :1]
    else:
        _normalize(pixels, preprocess, planes)


@np.errstate(over="ignore", invalid="ignore")  # NaN and infinities are refused where they are used
def _normalize(pixels: Pixels, preprocess: Preprocess, planes: Inputs) -> None:
    """Turn pixels [N, H, W, C or 1] into planes [N, C, H, W]."""
    mean, std = (
        np.array(values[: planes.shape[1]], np.float32)[:, None, None]
        for values in (preprocess.mean, preprocess.std)
    )
    planes[...] = pixels.transpose(0, 3, 1, 2)
    divisor = _invert(preprocess.scale)
    if divisor:
        planes /= np.float32(divisor)
    else:
        planes *= np.float32(preprocess.scale)
    planes += np.float32(preprocess.offset)
    planes -= mean
    planes /= std


def _invert(scale: float) -> float:
    """Return 255 for a scale of 1 / 255, and likewise for other inverses of whole or half numbers:
    dividing by these is exact to the last bit. Otherwise return 0.
    """
    if not 1 / _MAX_DIVISOR <= abs(scale) <= 1:
        return 0
    divisor = round(2 / scale) / 2
    return divisor if abs(divisor * scale - 1) < _EXACT else 0


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


def require_pictures(target: ImageInput, path: Path) -> None:
    """Refuse image files at `path` where the model takes something else."""
    if not target.takes_pictures:
        shape = ", ".join(map(str, target.sample_shape))
        message = f"{path} holds images, but the model's input {target.name} is [N, {shape}]"
        raise InputRefusedError(
            message, remedy=f"Give an .npz with x (float32 inputs [N, {shape}]) and y."
        )


def choose_mode(mode: str, target: ImageInput, preprocess: Preprocess) -> str:
    """Choose the mode to resize in; grey images get three equal channels only when normalized."""
    wanted = _MODES[target.channels]
    is_grey = mode == "L" and wanted == "RGB" and len(set(preprocess.pad)) == 1
    return "L" if is_grey else wanted


def choose_size(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Choose height and width to resize to. Raises InputRefusedError for extreme proportions."""
    if preprocess.size is not None:
        height, width = _fit(height, width, preprocess.size, preprocess.fit)
    elif preprocess.shortest_edge is not None:
        edge, shorter = preprocess.shortest_edge, min(height, width)
        height, width = int(edge * height / shorter), int(edge * width / shorter)
    if height * width > MAX_PIXELS:
        message = f"preprocessing makes an image of {height}x{width}, which is too large"
        raise InputRefusedError(message, remedy="Crop the image, or remove it.")
    return height, width


def _fit(height: int, width: int, size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """Fit an image to a size, rounded as by timm."""
    if fit == "fill":
        return size
    ratio = (min if fit == "cover" else max)(height / size[0], width / size[1])
    return max(1, round(height / ratio)), max(1, round(width / ratio))


def _crop(image: Image.Image, crop: tuple[int, int], preprocess: Preprocess) -> Image.Image:
    """Cut out the middle, or put the image in the middle of a larger one."""
    height, width = crop
    top = _start(image.height, height, preprocess.centre)
    left = _start(image.width, width, preprocess.centre)
    if any(preprocess.pad) and (height > image.height or width > image.width):
        bands = len(image.getbands())
        colour = preprocess.pad[:1] * bands if 1 in {bands, len(preprocess.pad)} else preprocess.pad
        larger = Image.new(image.mode, (width, height), colour)
        larger.paste(image, (-left, -top))
        return larger
    return image.crop((left, top, left + width, top + height))


def _start(extent: int, wanted: int, centre: Centre) -> int:
    """Return where the middle starts: floored as by Hugging Face, or rounded as by torchvision."""
    if centre == "floor":
        return (extent - wanted) // 2
    return round((extent - wanted) / 2) if extent >= wanted else -((wanted - extent) // 2)


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

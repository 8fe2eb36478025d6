"""What models answer, image by image, and small pictures of the images that tell most."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from nhle_onnx.data.stream import stream_batches
from nhle_onnx.values.outcomes import Outcomes, Role, ShownImage
from nhle_onnx.values.preprocess import PICTURE_CHANNELS, ImageInput, Preprocess
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.accuracy import claim_forgotten, predict_classes
from nhle_onnx.workflows.measure import Evaluation, LoadedModel, digest_images, insert_dropped

_MOST_IMAGES = 20_000  # a page needs no more, and takes no longer
_BATCH = 256
_EDGE, _ICON = 96, 64  # pixels; larger pictures are photos

Classes = npt.NDArray[np.int64]
Images = npt.NDArray[np.float32]


def collect_outcomes(
    models: Mapping[Role, LoadedModel],
    evaluation: Evaluation,
    request: ForgetRequest,
    shown: int,
    left_out: frozenset[int] = frozenset(),
) -> Outcomes:
    """Run models over the samples, and choose images to show; those in `left_out` do not count."""
    count = len(evaluation.indices)
    places = np.unique(np.linspace(0, count - 1, min(count, _MOST_IMAGES)).astype(np.int64))
    scores: dict[Role, list[Images]] = {role: [] for role in models}
    kept: list[bool] = []
    indices = [evaluation.indices[place] for place in places]
    fixed = max(model.target.batch or 1 for model in models.values())
    size = max(fixed, _BATCH - _BATCH % fixed)
    for inputs in stream_batches(evaluation.samples, indices, size):
        kept += [digest not in left_out for digest in digest_images(inputs)]
        for role, model in models.items():
            found = model.session.run(model.output, inputs, model.target, size)
            scores[role].append(insert_dropped(found, model.dropped).reshape(len(inputs), -1))
    chosen = places[np.array(kept, bool)] if kept else places[:0]
    return describe_outcomes(
        {role: np.concatenate(parts)[kept] for role, parts in scores.items()} if kept else {},
        evaluation.classes[chosen],
        request,
        shown,
        lambda rows: draw_images(
            evaluation.read([int(chosen[row]) for row in rows]),
            evaluation.samples.target,
            evaluation.samples.preprocess,
        ),
        available=count,
        indices=[int(evaluation.indices[place]) for place in chosen],
    )


def describe_outcomes(
    scores: Mapping[Role, Images],
    classes: Classes,
    request: ForgetRequest,
    shown: int,
    draw: Callable[[Sequence[int]], Sequence[str]],
    *,
    available: int,
    indices: Sequence[int],
) -> Outcomes:
    """Describe answers by their scores [N, K]; `draw` makes pictures of images by their row."""
    claimed = claim_forgotten(classes, request)
    answers = {role: predict_classes(each, claimed=claimed) for role, each in scores.items()}
    rows = {
        "forgotten": _choose_forgotten(answers, classes, request, shown),
        "mistakes": _choose_mistakes(answers, scores, classes, request, shown),
    }
    wanted = [row for chosen in rows.values() for row in chosen]
    pictures = dict(zip(wanted, draw(wanted) if wanted else (), strict=True))
    images = {
        name: tuple(
            ShownImage(
                index=indices[row],
                true=int(classes[row]),
                answers={role: int(given[row]) for role, given in answers.items()},
                picture=pictures[row],
            )
            for row in chosen
        )
        for name, chosen in rows.items()
    }
    return Outcomes(
        images=len(classes),
        available=available,
        confusion={role: _count_pairs(classes, given) for role, given in answers.items()},
        forgotten=images["forgotten"],
        mistakes=images["mistakes"],
    )


def _count_pairs(classes: Classes, answers: Classes) -> tuple[tuple[int, int, int], ...]:
    pairs, counts = np.unique(np.stack([classes, answers]), axis=1, return_counts=True)
    return tuple(
        (int(true), int(given), int(count))
        for (true, given), count in zip(pairs.T, counts, strict=True)
    )


def _choose_forgotten(
    answers: Mapping[Role, Classes], classes: Classes, request: ForgetRequest, shown: int
) -> list[int]:
    """Return rows of forgotten classes in turn: still recognised, forgotten, never known."""
    if "edited" not in answers:
        return []
    known = answers.get("original", classes) == classes
    order = np.lexsort((~known, answers["edited"] != classes))
    of_class = [[row for row in order if classes[row] == index] for index in request.forget]
    longest = max(map(len, of_class), default=0)
    in_turn = [rows[rank] for rank in range(longest) for rows in of_class if rank < len(rows)]
    return [int(row) for row in in_turn[:shown]]


def _choose_mistakes(
    answers: Mapping[Role, Classes],
    scores: Mapping[Role, Images],
    classes: Classes,
    request: ForgetRequest,
    shown: int,
) -> list[int]:
    """Return rows of other classes that the edited model alone gets wrong, the surest first."""
    if "edited" not in answers:
        return []
    is_new = (answers["edited"] != classes) & ~np.isin(classes, request.forget)
    if "original" in answers:
        is_new &= answers["original"] == classes
    rows = np.flatnonzero(is_new)
    found = scores["edited"][rows]
    margins = found.max(1) - found[np.arange(len(rows)), classes[rows]]
    return [int(row) for row in rows[np.argsort(-margins, kind="stable")][:shown]]


def draw_images(
    inputs: Images, target: ImageInput, preprocess: Preprocess | None, edge: int = _EDGE
) -> tuple[str, ...]:
    """Draw model inputs [N, ...] as small pictures; other inputs than pictures give empty texts."""
    if target.layout is None or target.channels not in PICTURE_CHANNELS:
        return ("",) * len(inputs)
    images = inputs if target.layout == "NHWC" else np.moveaxis(inputs, 1, -1)
    return tuple(_encode(_to_pixels(image, preprocess), edge) for image in images)


def _to_pixels(image: Images, preprocess: Preprocess | None) -> npt.NDArray[np.uint8]:
    """Undo the preprocessing of an image [H, W, C]; without any, stretch what is there."""
    pixels = image.astype(np.float64)
    if preprocess is None:
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) * (255 / (high - low) if high > low else 1)
    else:
        pixels = pixels * np.array(preprocess.std) + np.array(preprocess.mean)
        pixels = (pixels - preprocess.offset) / preprocess.scale
        if preprocess.channels == "bgr":
            pixels = pixels[..., ::-1]
    whole: npt.NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return whole


def _encode(pixels: npt.NDArray[np.uint8], edge: int) -> str:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    is_photo = image.mode == "RGB" and max(image.size) > _ICON
    image.thumbnail((edge, edge))
    stream = io.BytesIO()
    image.save(stream, "JPEG" if is_photo else "PNG", quality=85, optimize=True)
    kind = "jpeg" if is_photo else "png"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"

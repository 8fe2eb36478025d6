"""Which samples are forgotten, which are anchors, and which are for evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.tree import is_image
from nhle_onnx.data.variety import spread
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.request import ForgetRequest

FOLDER = "calibration_samples"
Choose = Callable[[Sequence[int], int], Sequence[int]]  # chooses a number of the positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Indices of one sample source; `rest` are those not used for tuning."""

    forget: tuple[int, ...]
    anchors: tuple[int, ...]
    rest: tuple[int, ...]


def split_samples(
    classes: npt.NDArray[np.int64],
    request: ForgetRequest,
    samples_per_class: int,
    choose: Choose = spread,
) -> Split:
    """Use `samples_per_class` of each class for tuning: `choose` takes those of forgotten classes;
    others come from all over the source, as neighbours there are often alike.
    """
    found = [np.flatnonzero(classes == index).tolist() for index in range(request.num_classes)]
    forget = [
        position for index in request.forget for position in choose(found[index], samples_per_class)
    ]
    anchors = [
        position
        for index in request.retained
        for position in spread(found[index], samples_per_class)
    ]
    tuning = {*forget, *anchors}
    return Split(
        forget=tuple(forget),
        anchors=tuple(anchors),
        rest=tuple(position for position in range(len(classes)) if position not in tuning),
    )


def find_samples(model: OnnxModel) -> Path:
    """Find the default samples of a model.

    These are in `calibration_samples/<set>`, in the current folder or in one above the model. The
    set has the name of the model's folder or file, or the end of that name: `fashion_mnist` serves
    `mobilenetv3_small_fashion_mnist`. Otherwise, `calibration_samples` itself is used. Raises
    InputRefusedError that names the places where it looked.
    """
    file = model.path.resolve()
    names = (file.parent.name, file.stem)
    roots = [_shorten(parent / FOLDER) for parent in dict.fromkeys((Path.cwd(), *file.parents[:3]))]
    for root in filter(Path.is_dir, roots):
        sets = sorted(item for item in root.iterdir() if item.is_dir())
        for matches in (_is_same, _is_end):
            for name in names:
                for folder in sets:
                    if matches(name, folder.name):
                        return folder
        if any(is_image(item) for folder in sets for item in folder.iterdir()):
            return root
    looked = "\n".join(f"  {root}/{name}" for root in roots for name in names)
    message = f"no samples were given, and none were found. Looked for:\n{looked}"
    raise InputRefusedError(
        message,
        remedy=hint(
            "Give {samples}, with one folder of images for each class. Without any samples, "
            "{method=cwm} masks the head only, which does not erase features."
        ),
    )


def _shorten(path: Path) -> Path:
    """Shorten a path below the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _is_same(name: str, folder: str) -> bool:
    return name == folder


def _is_end(name: str, folder: str) -> bool:
    return name.endswith(f"_{folder}")

"""The good files that all changed ones start from. All but three are made here, by fixed seeds."""

import json
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from support import TESTS
from support.fuzzing.control_flow import make_control_flow
from support.shipped import EVALUATION, LENET

MODEL, DATA, PATCH = "model.onnx", "data.npz", "p.nhlepatch"
# of the parts of the study that change images
SAMPLES = {
    "tars": "samples.tar", "parquets": "samples.parquet", "arrays": "samples.npz",
    "images": "samples",
}  # fmt: skip
Files = Mapping[str, bytes]
_KERAS = TESTS / "files" / "keras_cnn.onnx"
_FORMATS = ("qdq-int8", "qdq-int4-blocks", "qoperator-int8", "dynamic-uint8")
_PER_CLASS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A folder with a good model, perhaps its sidecar, and data.npz for it. With a patch, which is
    then what is changed.
    """

    name: str
    folder: Path
    files: Files


def read_seeds(folder: Path) -> tuple[Seed, ...]:
    """What `write_seeds` wrote, in the order of names."""
    return tuple(
        Seed(
            name=path.name,
            folder=path,
            files={
                each.relative_to(path).as_posix(): each.read_bytes()
                for each in sorted(path.rglob("*"))
                if each.is_file()
            },
        )
        for path in sorted(folder.iterdir())
    )


def write_seeds(folder: Path) -> None:
    """Two folders of seeds, `models` and `patches`. Runs ONNX Runtime: threads are left behind."""
    images, classes = _read_images()
    for name, model, layout in _make_models(images):
        _write(folder / "models" / name, model, images.reshape(-1, *layout), classes)
    outside = folder / "models" / "sidecar"
    model = onnx.load(LENET)
    _write(outside, model, images, classes)
    onnx.save_model(model, outside / MODEL, save_as_external_data=True, location=f"{MODEL}.data",
                    size_threshold=64)  # fmt: skip
    for name, deltas in (("lenet5", True), ("sidecar", True), ("lenet5", False)):
        _write_patch(folder, name, deltas=deltas)


def _read_images() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Some images of each class, [N, 1, 28, 28], as the models take them."""
    with np.load(EVALUATION) as arrays:
        pixels, classes = arrays["x"], arrays["y"].astype(np.int64)
    chosen = np.concatenate([np.flatnonzero(classes == k)[:_PER_CLASS] for k in range(10)])
    config = json.loads(LENET.with_name("preprocessor_config.json").read_text("utf-8"))
    scaled = pixels[chosen].reshape(-1, 1, 28, 28) * config["rescale_factor"]
    images = (scaled - config["image_mean"]) / config["image_std"]
    return images.astype(np.float32), classes[chosen]


def _make_models(
    images: npt.NDArray[np.float32],
) -> Iterator[tuple[str, ModelProto, tuple[int, ...]]]:
    """Name, model, and the shape of one image."""
    # both take seconds to import, which those who only read seeds need not wait for
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    from studies.formats import FORMATS, Calibration, quantize  # noqa: PLC0415

    lenet, plain = onnx.load(LENET), (1, 28, 28)
    yield "lenet5", lenet, plain
    calibration = Calibration(lenet.graph.input[0].name, images)
    for name in _FORMATS:
        yield name, quantize(FORMATS[name], lenet, calibration), plain
    yield "float16", convert_float_to_float16(onnx.load(LENET)), plain
    yield "control-flow", make_control_flow(), plain
    yield "keras", onnx.load(_KERAS), (28, 28, 1)


def _write(
    folder: Path,
    model: ModelProto,
    images: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
) -> None:
    folder.mkdir(parents=True)
    onnx.save_model(model, folder / MODEL)
    np.savez(folder / DATA, x=images, y=classes)


def _write_patch(folder: Path, name: str, *, deltas: bool) -> None:
    """A seed with its edited model's patch."""
    from nhle_onnx.cli.main import run  # noqa: PLC0415 - as above
    from nhle_onnx.values.settings.patch import CreateSettings  # noqa: PLC0415
    from nhle_onnx.workflows.patch_create import create_patch  # noqa: PLC0415

    seed, target = folder / "models" / name, folder / "patches" / f"{name}-{deltas}"
    edited = folder / f"edited-{name}" / MODEL
    if not edited.exists():
        edited.parent.mkdir(exist_ok=True)
        command = ["unlearn", str(seed / MODEL), "--forget", "3", "--steps", "2", "--quiet"]
        with redirect_stdout(StringIO()):
            run([*command, "--samples", str(seed / DATA), "--out", str(edited)])
    target.mkdir(parents=True)
    for path in seed.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    create_patch(
        CreateSettings(base=seed / MODEL, edited=edited, out=target / PATCH, no_deltas=not deltas)
    )

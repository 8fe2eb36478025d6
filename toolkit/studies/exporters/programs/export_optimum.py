"""A network of transformers by Optimum: exported, optimized and quantized with its defaults."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from datasets import Dataset
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTOptimizer, ORTQuantizer
from optimum.onnxruntime.configuration import (
    AutoCalibrationConfig,
    AutoOptimizationConfig,
    AutoQuantizationConfig,
)
from shared import Writers, make_files, read_data

CALIBRATED = 128  # images
_NAME = "model.onnx"


def list_writers(_: str, given: Path) -> Writers:
    """Export once, and derive the other files from that."""
    export = partial(_export, given)
    settings = AutoQuantizationConfig
    dynamic, static = (
        partial(settings.avx512_vnni, is_static=flag, per_channel=False) for flag in (False, True)
    )
    return {
        "float32": partial(_finish, export),
        "O2": partial(_finish, _optimize, export),
        "dynamic": partial(_finish, _quantize, export, dynamic()),
        "static": partial(_finish, _quantize, export, static(), given.parents[1] / "data.npz"),
    }


def _finish(write: Callable[..., object], *arguments: Any) -> None:  # noqa: ANN401
    *before, path = arguments
    with TemporaryDirectory() as folder:
        write(*before, Path(folder))
        (made,) = Path(folder).glob("*.onnx")
        shutil.copy(made, path)
        shutil.copy(Path(folder) / "config.json", path.with_name("config.json"))


def _export(given: Path, folder: Path) -> None:
    main_export(str(given), folder, task="image-classification", do_validation=False)


@contextmanager
def _exported(export: Callable[[Path], None]) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        export(Path(folder))
        yield Path(folder)


def _optimize(export: Callable[[Path], None], folder: Path) -> None:
    with _exported(export) as exported:
        optimizer = ORTOptimizer.from_pretrained(exported)
        optimizer.optimize(AutoOptimizationConfig.O2(), save_dir=folder)


def _quantize(
    export: Callable[[Path], None],
    settings: Any,  # noqa: ANN401 - Optimum types little
    *rest: Path,
) -> None:
    *data, folder = rest
    with _exported(export) as exported:
        quantizer = ORTQuantizer.from_pretrained(exported, file_name=_NAME)
        ranges = _calibrate(quantizer, settings, *data) if data else None
        quantizer.quantize(
            save_dir=folder, quantization_config=settings, calibration_tensors_range=ranges
        )


def _calibrate(quantizer: Any, settings: Any, data: Path) -> Any:  # noqa: ANN401
    images = read_data(data).images[:CALIBRATED, None]
    samples = Dataset.from_dict({"pixel_values": np.asarray(images)})
    samples.set_format("numpy")
    return quantizer.fit(
        dataset=samples,
        calibration_config=AutoCalibrationConfig.minmax(samples),
        operators_to_quantize=settings.operators_to_quantize,
    )


if __name__ == "__main__":
    make_files(list_writers)

"""The .ort file of a model, for ONNX Runtime's mobile builds, by ONNX Runtime's own converter."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError, first_line
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.graph.tensors import MAX_PROTO_BYTES, measure_bytes
from nhle_onnx.hints import hint
from nhle_onnx.runtime.native import CPU, open_native
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.verification.accuracy import predict_classes

MIN_AGREEMENT = 0.999
MAX_DIFFERENCE = 0.01
_FATAL = 4
_LARGEST = float(np.finfo(np.float64).max)
_REMEDY = hint("Leave out {also=ort}: the .onnx file itself is not touched by this.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A .ort file compared with its .onnx file on the same images.

    `agreement` is the share of images where both answer the same class, or detect the same.
    `largest_difference` is that of any score, absolute up to 1, relative to larger scores.
    """

    images: int
    agreement: float
    largest_difference: float

    @property
    def passed(self) -> bool:
        """Whether the two are the same model."""
        return self.agreement >= MIN_AGREEMENT and self.largest_difference <= MAX_DIFFERENCE


def convert_to_ort(model: ModelProto | bytes) -> bytes:
    """Convert a model without external data to the .ort format. Raises UnsupportedModelError where
    ONNX Runtime cannot convert it or cannot load the result.
    """
    if isinstance(model, ModelProto) and measure_bytes(model) > MAX_PROTO_BYTES:
        message = "the .ort format cannot hold a model above 2 GiB"
        raise UnsupportedModelError(message, remedy=_REMEDY)
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with open_scratch() as folder:
        path = folder / "model.onnx"
        path.write_bytes(content)
        try:
            with _silence():
                _convert(path)
            converted = path.with_suffix(".ort").read_bytes()
            _open(converted)
        except Exception as error:  # ONNX Runtime's errors share no public base class
            reason = first_line(error)
            message = f"ONNX Runtime cannot make a .ort file of this model: {reason}"
            raise UnsupportedModelError(message, remedy=_REMEDY) from error
    return converted


def compare_with_onnx(
    converted: bytes,
    model: ModelProto,
    output: str,
    images: npt.NDArray[np.float32],
    target: ImageInput,
    batch_size: int,
) -> Comparison:
    """Load both on the CPU, and compare one output for images [N, ...] prepared for `target`. Where
    `output` is an inner tensor, they are compared by the graph's first output, which is chosen from
    it.
    """
    if not any(value.name == output for value in model.graph.output):
        output = model.graph.output[0].name
    computed, expected = (
        session.run(output, images, target, batch_size) for session in _open_both(converted, model)
    )
    agreement = (predict_classes(computed) == predict_classes(expected)).mean()
    return Comparison(
        images=len(images),
        agreement=float(agreement),
        largest_difference=_measure_difference(computed, expected),
    )


def compare_detectors(
    converted: bytes,
    model: ModelProto,
    outputs: Sequence[str],
    images: npt.NDArray[np.float32],
    target: ImageInput,
    batch_size: int,
) -> Comparison:
    """Do as `compare_with_onnx` for boxes and scores: for an image, two detectors agree where no
    number differs by more than is allowed.
    """
    found = [
        session.run_several(outputs, images, target, batch_size)
        for session in _open_both(converted, model)
    ]
    differences = [
        max(map(_measure_difference, *([each[place] for each in several] for several in found)))
        for place in range(len(images))
    ]
    return Comparison(
        images=len(images),
        agreement=float(np.mean([each <= MAX_DIFFERENCE for each in differences])),
        largest_difference=max(differences),
    )


def _measure_difference(
    computed: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]
) -> float:
    """Measure the largest difference; a masked class's score may be -inf in both."""
    computed, expected = computed.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(computed - expected) / np.maximum(1.0, np.abs(expected))
    is_same = (computed == expected) | (np.isnan(computed) & np.isnan(expected))
    largest = np.where(is_same, 0.0, difference).max(initial=0.0)
    return float(np.nan_to_num(largest, nan=_LARGEST, posinf=_LARGEST))


def _open_both(converted: bytes, model: ModelProto) -> tuple[Session, Session]:
    return _open(converted), open_session(model, "cpu", "default")


def _open(content: bytes) -> Session:
    return Session(open_native(content), CPU)


def _convert(path: Path) -> None:
    with _hide_torch():
        # its package imports torch if installed, for a part that is not used here
        from onnxruntime.tools import convert_onnx_models_to_ort as converter  # noqa: PLC0415
    fixed = converter.OptimizationStyle.Fixed
    converter.convert_onnx_models_to_ort(path, optimization_styles=[fixed])


@contextlib.contextmanager
def _hide_torch() -> Iterator[None]:
    """Make torch look as if it were not installed, unless it was already imported."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Silence the converter's prints and logs; its failures are exceptions."""
    ort.set_default_logger_severity(_FATAL)
    before, handlers = logging.root.manager.disable, logging.root.handlers[:]
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
        logging.root.handlers[:] = handlers

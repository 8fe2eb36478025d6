"""patch apply, also to ort: the .ort file of a patched model, compared with it on noise."""

from pathlib import Path

from nhle_onnx.data.model_input import find_input
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.save import write_files
from nhle_onnx.release.ort_format import (
    Comparison,
    compare_detectors,
    compare_with_onnx,
    convert_to_ort,
)
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import find_subject, name_outputs

_BATCH_SIZE = 32


def write_ort(model_path: Path, out: Path, *, force: bool) -> None:
    """Convert, compare and write. The two are compared on noise, as a device has no images. Raises
    UnsupportedModelError where they differ.
    """
    model = load_model(model_path)
    converted = convert_to_ort(model.proto)
    compared = _compare(model, converted)
    if not compared.passed:
        message = (
            f"the .ort file of {model_path} answers differently: the share of equal answers on "
            f"{compared.images} images is {compared.agreement:.3f}"
        )
        raise UnsupportedModelError(message, remedy="The .onnx file is correct; ship that one.")
    write_files({out: converted}, force=force)


def _compare(model: OnnxModel, converted: bytes) -> Comparison:
    if subject := find_subject(model, ModelFlags()):
        target = subject.image_input
        names, noise = name_outputs(subject), make_noise(target)
        return compare_detectors(converted, model.proto, names, noise, target, _BATCH_SIZE)
    target = find_input(model, ModelFlags())
    output = find_head(model).output
    return compare_with_onnx(
        converted, model.proto, output, make_noise(target), target, _BATCH_SIZE
    )

"""patch apply, also to ort: the .ort file of a patched model, compared with it on noise."""

from pathlib import Path

from nhle_onnx.data.model_input import find_input
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.save import write_files
from nhle_onnx.release.ort_format import compare_with_onnx, convert_to_ort
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import DetectorFoundError, find_subject

_BATCH_SIZE = 32


def write_ort(model_path: Path, out: Path, *, force: bool) -> None:
    """Convert, compare and write. The two are compared on noise, as a device has no images. Raises
    UnsupportedModelError where they differ.
    """
    model = load_model(model_path)
    if subject := find_subject(model, ModelFlags()):
        raise DetectorFoundError(subject)
    target = find_input(model, ModelFlags())
    converted = convert_to_ort(model.proto)
    output = find_head(model).output
    compared = compare_with_onnx(
        converted, model.proto, output, make_noise(target), target, _BATCH_SIZE
    )
    if not compared.passed:
        message = (
            f"the .ort file of {model_path} answers differently: the share of equal answers on "
            f"{compared.images} images is {compared.agreement:.3f}"
        )
        raise UnsupportedModelError(message, remedy="The .onnx file is correct; ship that one.")
    write_files({out: converted}, force=force)

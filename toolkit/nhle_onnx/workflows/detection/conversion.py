"""The edited detector in other formats, each compared with the .onnx file."""

from onnx import ModelProto

from nhle_onnx.release.ort_format import compare_detectors, convert_to_ort
from nhle_onnx.workflows.conversion import Conversion, describe_conversion
from nhle_onnx.workflows.detection.plan import DetectionPlan
from nhle_onnx.workflows.detection.subject import name_outputs

_COMPARED = 64  # images


def convert_detector(plan: DetectionPlan, edited: ModelProto) -> Conversion:
    """Convert to every requested format. Raises UnsupportedModelError where that is impossible."""
    path = plan.settings.ort_path
    if path is None:
        return Conversion()
    subject, images = plan.subject, plan.images[:_COMPARED]
    names = name_outputs(subject)
    content = convert_to_ort(edited)
    target, size = subject.image_input, plan.settings.options.batch_size
    comparison = compare_detectors(content, edited, names, images, target, size)
    return describe_conversion(path, content, comparison, plan.samples.source)

"""unlearn: whether its outputs can be written."""

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.external import name_sidecars
from nhle_onnx.graph.save import check_writable
from nhle_onnx.hints import hint
from nhle_onnx.release.formats.choose import check_suffix
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.settings.unlearn import UnlearnSettings


def check_outputs(settings: UnlearnSettings, model: OnnxModel) -> None:
    """Raise InputRefusedError where an output would replace the model, or another output."""
    check_suffix(settings.page)
    sidecars = name_sidecars(model.places, settings.edited_path).values()
    outputs = (*settings.outputs, *sidecars)
    for path in outputs:
        if path.resolve() in model.files:
            message = f"{path} is the model itself, which is never changed in place"
            options = " and ".join(f"{{{name}}}" for name in ("out", *settings.named_outputs))
            raise InputRefusedError(message, remedy=hint(f"Give {options} other paths."))
    resolved = [path.resolve() for path in outputs]
    for name, path in (settings.named_outputs | {"out": settings.edited_path}).items():
        if resolved.count(path.resolve()) > 1:
            message = f"{path} is to hold another output as well"
            raise InputRefusedError(message, remedy=hint(f"Give {{{name}}} another path."))
    for path in outputs:
        check_writable(path, force=settings.force)

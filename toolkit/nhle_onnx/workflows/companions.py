"""What an edited model needs to be used in another folder than the original's."""

import json
from collections.abc import Sequence
from pathlib import Path

from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.workflows.plan import Plan

_LABELS, _CONFIG, _PREPROCESS = "labels.txt", "config.json", "preprocessor_config.json"


def list_companions(plan: Plan) -> dict[Path, bytes]:
    """Return files with labels and preprocessing that the edited model's folder lacks."""
    classifier = plan.classifier
    labels = () if plan.dropped else classifier.labels
    renumbered = _list_renumbered(plan) if plan.dropped else {}
    folder = plan.settings.edited_path.parent
    return renumbered | list_beside(folder, classifier.model, labels, classifier.preprocess)


def list_beside(
    folder: Path, model: OnnxModel, labels: Sequence[str], preprocess: Preprocess | None
) -> dict[Path, bytes]:
    """Return files with labels and preprocessing that another folder than the model's lacks."""
    if folder.resolve() == model.path.parent.resolve():
        return {}
    files: dict[Path, bytes] = {}
    if preprocess and not _has_any(folder, _PREPROCESS, _CONFIG):
        files[folder / _PREPROCESS] = render_preprocess(preprocess).encode()
    is_named = tuple(labels) != tuple(map(str, range(len(labels))))
    if is_named and not _has_any(folder, _LABELS, _CONFIG):
        files[folder / _LABELS] = _render_labels(labels)
    return files


def _list_renumbered(plan: Plan) -> dict[Path, bytes]:
    """List the labels that are left, in a file of their own: labels.txt may be the original's."""
    path = plan.settings.labels_path
    kept = [plan.classifier.labels[index] for index in plan.request.retained]
    return {path: _render_labels(kept)} if path else {}


def _render_labels(labels: Sequence[str]) -> bytes:
    return "".join(f"{label}\n" for label in labels).encode()


def render_preprocess(preprocess: Preprocess) -> str:
    """Write the preprocessing as a `preprocessor_config.json` that names no processor."""
    written = {name: value for name, value in _describe(preprocess).items() if value is not None}
    return json.dumps(written, indent=2) + "\n"


def _describe(preprocess: Preprocess) -> dict[str, object]:
    """Name each step as Hugging Face does; steps that it does not know only where they differ."""
    size = _name_sides(preprocess.size)
    if preprocess.shortest_edge:
        size = {"shortest_edge": preprocess.shortest_edge}
    usual = Preprocess(source="")
    extra = {
        "crop_share": preprocess.crop_share,
        "fit": preprocess.fit,
        "centre": preprocess.centre,
        "pad_color": preprocess.pad,
    }
    defaults = (usual.crop_share, usual.fit, usual.centre, usual.pad)
    return {
        "do_exif_transpose": preprocess.upright,
        "do_resize": size is not None,
        "size": size,
        "resample": preprocess.resample,
        "do_center_crop": preprocess.crop is not None,
        "crop_size": _name_sides(preprocess.crop),
        "do_flip_channel_order": preprocess.channels == "bgr" or None,
        "do_rescale": True,
        "rescale_factor": preprocess.scale,
        "do_normalize": True,
        "image_mean": [mean - preprocess.offset for mean in preprocess.mean],
        "image_std": list(preprocess.std),
        **{
            name: value
            for (name, value), default in zip(extra.items(), defaults, strict=True)
            if value != default
        },
    }


def _name_sides(size: tuple[int, int] | None) -> dict[str, int] | None:
    return dict(zip(("height", "width"), size, strict=True)) if size else None


def _has_any(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)

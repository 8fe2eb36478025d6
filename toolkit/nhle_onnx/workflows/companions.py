"""What an edited model needs to be used in another folder than the original's."""

import json
from pathlib import Path

from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.workflows.plan import Plan

_LABELS, _CONFIG, _PREPROCESS = "labels.txt", "config.json", "preprocessor_config.json"


def list_companions(plan: Plan) -> dict[Path, bytes]:
    """Return files with labels and preprocessing that the edited model's folder lacks."""
    classifier = plan.classifier
    folder = plan.settings.edited_path.parent
    if folder.resolve() == classifier.model.path.parent.resolve():
        return {}
    files: dict[Path, bytes] = {}
    is_named = classifier.labels != tuple(map(str, range(len(classifier.labels))))
    if is_named and not _has_any(folder, _LABELS, _CONFIG):
        files[folder / _LABELS] = "".join(f"{label}\n" for label in classifier.labels).encode()
    if classifier.preprocess and not _has_any(folder, _PREPROCESS, _CONFIG):
        files[folder / _PREPROCESS] = render_preprocess(classifier.preprocess).encode()
    return files


def render_preprocess(preprocess: Preprocess) -> str:
    """Write the preprocessing as a `preprocessor_config.json`."""
    size: dict[str, int] | None = None
    if preprocess.size:
        size = dict(zip(("height", "width"), preprocess.size, strict=True))
    elif preprocess.shortest_edge:
        size = {"shortest_edge": preprocess.shortest_edge}
    crop = preprocess.crop
    config = {
        "do_resize": size is not None,
        "size": size,
        "resample": preprocess.resample,
        "do_center_crop": crop is not None,
        "crop_size": dict(zip(("height", "width"), crop, strict=True)) if crop else None,
        "do_rescale": True,
        "rescale_factor": preprocess.scale,
        "do_normalize": True,
        "image_mean": [mean - preprocess.offset for mean in preprocess.mean],
        "image_std": list(preprocess.std),
    }
    written = {name: value for name, value in config.items() if value is not None}
    return json.dumps(written, indent=2) + "\n"


def _has_any(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)

"""Detectors that forget a class: two networks, floats and 8 bits, several classes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
from onnxruntime.quantization import QuantFormat, quantize_static
from rich.progress import track

import nhle_onnx
from nhle_onnx.auditing.attacks.quantization import Feed, Feeds
from nhle_onnx.data.boxes.scenes import open_scenes
from nhle_onnx.values.detection import DetectionReport
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import open_detector
from studies.options import cache_option
from studies.results import ROOT, resume, write_results
from studies.tables import Row, make_table, pick_rows, write_met

SCENES = ROOT / "calibration_samples" / "fashion_scenes"
SHIPPED = ROOT / "models" / "yolo_tiny_fashion_scenes"
CLASSES = ("Trouser", "Dress", "Bag")
NETWORKS = ("YOLO, anchor-free", "SSDLite, MobileNetV3-Small")
FORMATS = ("float", "INT8 QDQ")
LIMITS = {"AP_F": 0.01, "unmasked AP_F": 0.01, "ΔmAP_R": -0.02}
_SIDECARS = ("labels.txt", "preprocessor_config.json")
_CALIBRATED = 64  # images


def _make_feeds(model: Path) -> Iterator[Feed]:
    """Read calibration images one by one."""
    subject = open_detector(model, ModelFlags())
    source = open_scenes(
        SCENES / "samples", subject.image_input, subject.preprocess, subject.labels
    )
    for image in source.choose(range(_CALIBRATED)).read():
        yield {subject.image_input.name: image[None]}


@click.command()
@click.option(
    "--ssdlite",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder written by models/recipes/ssdlite_scenes.py; without it, only YOLO.",
)
@click.option("--most", type=int, help="Measure at most this many cells now.")
@cache_option
def detectors(ssdlite: Path | None, most: int | None, cache: Path) -> None:
    """Forget classes of detectors, and measure average precision."""
    folders = dict(zip(NETWORKS, [SHIPPED, *([ssdlite] if ssdlite else [])], strict=False))
    with resume("detectors") as kept:
        waiting = [cell for cell in _list_cells(folders) if not pick_rows(kept.rows, **cell)]
        for cell in track(waiting[:most], description="forgetting"):
            kept.add(cell | measure_cell(folders[cell["network"]], cell, cache / "detectors"))
        write_results("detectors", "Detectors", _write_body(kept.rows), kept.rows)
    click.echo(make_table(kept.rows))


def measure_cell(folder: Path, cell: Row, work: Path) -> Row:
    """Forget one class with the defaults, and return what the report says."""
    work.mkdir(parents=True, exist_ok=True)
    model = _prepare(folder, cell, work)
    report = nhle_onnx.unlearn(
        model, forget=cell["class"], samples=SCENES, out=work / "forgotten.onnx", force=True
    )
    if not isinstance(report, DetectionReport):
        message = f"{model} is not a detector"
        raise TypeError(message)
    before, after, unmasked = report.before, report.after, report.unmasked
    return {
        "AP_F before": before.ap_f,
        "AP_F": after.ap_f,
        "unmasked AP_F": unmasked.ap_f,
        "mAP_R before": before.map_r,
        "ΔmAP_R": report.delta_map_r,
        "still detected": f"{after.detected} of {after.objects}",
        "unmasked detected": f"{unmasked.detected} of {unmasked.objects}",
        "steps": report.method["steps_run"],
        "seconds": round(sum(report.elapsed_s.values())),
        "verdict": report.verdict,
    }


def _list_cells(folders: dict[str, Path]) -> Iterator[Row]:
    for each in folders:
        for form in FORMATS:
            yield from ({"network": each, "format": form, "class": name} for name in CLASSES)


def _prepare(folder: Path, cell: Row, work: Path) -> Path:
    """Return the model of a cell; for INT8, its convolutions are quantized channel by channel."""
    source = folder / "model.onnx"
    if cell["format"] == "float":
        return source
    target = work / folder.name
    target.mkdir(parents=True, exist_ok=True)
    for name in _SIDECARS:
        shutil.copy(folder / name, target)
    path = target / "model.onnx"
    if not path.exists():
        quantize_static(
            source,
            path,
            Feeds(_make_feeds(source)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv"],
        )
    return path


def _write_body(rows: list[Row]) -> str:
    met = [all(_is_met(row, *limit) for limit in LIMITS.items()) for row in rows]
    shown = [row | {"met": write_met(met=each)} for row, each in zip(rows, met, strict=True)]
    changes = [row["ΔmAP_R"] for row in rows]
    limits = ", ".join(
        f"{name} {'≥' if limit < 0 else '≤'} {limit}" for name, limit in LIMITS.items()
    )
    return (
        "`unlearn MODEL --forget C` on two detectors of Fashion-MNIST items on textures: the "
        "shipped YOLO (`models/yolo_tiny_fashion_scenes`; anchor-free, sigmoid "
        "scores, TorchScript's exporter), and an SSDLite on MobileNetV3-Small (anchors, a softmax "
        "with background, torch's newer exporter; `models/recipes/ssdlite_scenes.py`). In INT8, "
        "their convolutions are quantized (QDQ, per channel). Samples are 16 images with the class "
        "and about 90 without it; 300 other scenes are for evaluation. Average precision is "
        "COCO's, over overlaps from .5 to .95, and counts detections from a score of .001; "
        "`unmasked` is measured with the original class channels, and `detected` counts objects "
        f"found with a score of at least .05.\n\n{make_table(shown)}\n\n"
        f"{sum(met)} of {len(rows)} rows meet the limits that were aimed at ({limits}). ΔmAP_R: "
        f"mean {sum(changes) / len(changes):+.4f}, worst {min(changes):+.4f}.{_say_missing(rows)}"
    )


def _say_missing(rows: list[Row]) -> str:
    """Say how many cells are still to be measured."""
    count = len(NETWORKS) * len(FORMATS) * len(CLASSES)
    missing = count - len(rows)
    return f"\n\n{missing} of {count} cells were not measured yet." if missing else ""


def _is_met(row: Row, name: str, limit: float) -> bool:
    return bool(row[name] >= limit if limit < 0 else row[name] <= limit)

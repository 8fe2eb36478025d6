"""Reports of a detector that forgot a class."""

import hashlib
from dataclasses import replace
from pathlib import Path

from nhle_onnx.release.report import render_json
from nhle_onnx.values.audit import AuditSamples, Measure, Skipped
from nhle_onnx.values.detection import (
    DetectionReport,
    DetectionVerifyReport,
    DetectorSummary,
    Precision,
    ShownBox,
    ShownScene,
)
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.detector import BoxTensor, Detector, ScoreTensor
from nhle_onnx.values.fleet import DetectionJobRecord
from nhle_onnx.values.report import ConvertedFile, SampleSummary
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check, Evidence
from support.graphs import make_model, make_node
from support.reports import ENVIRONMENT, TOOL, make_file

LABELS = ("cup", "hat", "2")
DETECTOR = Detector(
    layers=(),
    scores=ScoreTensor(name="s", axis=1, columns=(4, 5, 6)),
    boxes=BoxTensor(name="b", axis=1, form="corners", is_relative=False),
    num_classes=3, competes=False, suppresses=False,
)  # fmt: skip
BEFORE = Precision(
    ap_f=0.75, map_r=0.5, per_class=(0.5, 0.75, None), per_class_50=(0.6, 0.9, None),
    by_scale={"8": 0.25}, objects=40, detected=36,
)  # fmt: skip
AFTER = replace(BEFORE, ap_f=0.0, map_r=0.4375, per_class=(0.4375, 0.0, None), detected=1)
CHECKS = (
    Check(
        name="after.detected", value=0.025, limit=0.05, better="lower",
        evidence=Evidence(images=1040, interval=(0.01, 0.05), bound=0.04),
    ),
    Check(name="delta_map_r", value=-0.0625, limit=-0.1, better="higher"),
)  # fmt: skip
CUP = ShownBox(corners=(0.1, 0.2, 0.5, 0.8), index=0, score=0.5)
HAT = replace(CUP, index=1, score=0.75)
SCENE = ShownScene(index=7, true=(HAT,), detected={"original": (HAT, CUP), "edited": (CUP,)})

DETECTED = DetectionReport(
    tool=TOOL,
    environment=ENVIRONMENT,
    command="nhle-onnx unlearn detector.onnx --forget hat",
    seed=7,
    model=DetectorSummary(
        path="in/detector.onnx", sha256="a" * 64, size_bytes=9, sidecars={}, opset=17,
        detector=DETECTOR, format="float32",
    ),
    edited=make_file("edited.onnx"),
    labels=LABELS,
    forget=(1,),
    samples=SampleSummary(
        forget=40, anchors=0, eval=60, source="s", anchor_source="", eval_source="e"
    ),
    preprocess=None,
    method={"method": "nhle-cwm"},
    provider="CPUExecutionProvider",
    kernels="exact",
    device="cpu",
    before=BEFORE,
    after=AFTER,
    unmasked=replace(AFTER, ap_f=0.125),
    delta_map_r=-0.0625,
    changed_tensors=("w",),
    added_tensors=(),
    trajectory=(),
    elapsed_s={"training": 1.5, "measure": 0.25},
    notes=("a note",),
    checks=CHECKS,
    also=(
        ConvertedFile(
            format="ort", path="out/edited.ort", sha256="c" * 64, size_bytes=9, images=60,
            source="e", agreement=1.0, largest_difference=0.0,
        ),
    ),
    scenes=(SCENE,),
)  # fmt: skip
DETECTION_VERIFIED = DetectionVerifyReport(
    tool=TOOL,
    model=DETECTED.edited,
    baseline=make_file("detector.onnx"),
    labels=LABELS,
    forget=(1,),
    samples=60,
    preprocess=None,
    provider=DETECTED.provider,
    kernels="exact",
    before=BEFORE,
    after=AFTER,
    unmasked=DETECTED.unmasked,
    delta_map_r=-0.0625,
    changed_tensors=("w",),
    elapsed_s={"measure": 0.5},
    notes=(),
    checks=(*CHECKS, Check(name="before.ap_f", value=0.25, limit=0.5, better="higher")),
    scenes=(SCENE,),
)
DETECTION_RECORD = DetectionJobRecord(
    inputs="a", report="b", edited="c", verdict="passed", ap_f=0.0, delta_map_r=-0.0625,
    unmasked_ap_f=0.125, elapsed_s=30.0,
)  # fmt: skip


def write_detector(folder: Path, report: DetectionReport = DETECTED) -> tuple[Path, Path]:
    """Write a graph in place of an edited detector, and a report that is about it."""
    model = write_graph(folder / "edited.onnx")
    path = model.with_name("edited.report.json")
    path.write_text(render_json(replace(report, edited=summarize(model))), "utf-8")
    return model, path


def write_graph(path: Path) -> Path:
    """Write a graph that detects nothing; its name makes it another one."""
    graph = make_model([make_node("Relu", "x")], {}, {})
    graph.producer_name = path.stem
    path.write_bytes(graph.SerializeToString())
    return path


def summarize(path: Path) -> FileSummary:
    """Describe a file as reports do."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return FileSummary(path=str(path), sha256=digest, size_bytes=len(content), sidecars={})


DETECTION_AUDITED = DetectionAuditReport(
    tool=TOOL,
    environment=ENVIRONMENT,
    command="nhle-onnx audit edited.onnx --forget hat",
    seed=7,
    model=DETECTED.edited,
    baseline=DETECTION_VERIFIED.model,
    reference=None,
    labels=LABELS,
    forget=(1,),
    samples=AuditSamples(attack=30, judge=30, members=0, source="e"),
    preprocess=None,
    provider=DETECTED.provider,
    kernels="exact",
    device="cpu",
    effort="fast",
    precisions={"original": BEFORE, "edited": AFTER},
    delta_map_r=-0.0625,
    curves={},
    measures=(
        Measure(
            attack="rebuilding", name="rebuilding.ap_f", title="AP_F with fitted channels",
            original=0.75, edited=0.25, reference=0.5, position=0.25,
        ),
    ),
    skipped=(Skipped(attack="probe", reason="no image shows the class"),),
    elapsed_s={"measure": 0.5},
    notes=(),
    checks=CHECKS,
)  # fmt: skip

"""A kit and a device's answers as reports."""

from nhle_onnx.values.kit import (
    ClassCount,
    DeviceReport,
    KitModel,
    KitReport,
    KitSamples,
    Latency,
    Runtime,
)
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.verdict import Check, Evidence
from support.reports import TOOL, make_file

LABELS = ("cat", "dog")
ACCURACY = Accuracy(acc_f=0.0, acc_r=0.75, per_class=(0.75, 0.0))
EVIDENCE = Evidence(images=90, interval=(0.0, 0.04), bound=0.033)
CHECKS = (
    Check(name="after.acc_f", value=0.0, limit=0.05, better="lower", evidence=EVIDENCE),
    Check(name="agreement", value=1.0, limit=0.99, better="higher"),
)
KIT = KitReport(
    tool=TOOL,
    model=make_file("edited.onnx"),
    baseline=None,
    kit=make_file("kit.zip"),
    kit_json_sha256="b" * 64,
    labels=LABELS,
    forget=(1,),
    samples=KitSamples(kit=180, forgotten=90, available=500, source="s"),
    provider="CPUExecutionProvider",
    before=None,
    after=ACCURACY,
    delta_acc_r=None,
    notes=("no index.html",),
    checks=(*CHECKS, Check(name="known_before", value=None, limit=0.1, better="higher", gap="no")),
)
DEVICE = DeviceReport(
    tool=TOOL,
    result="device-result.json",
    kit_json_sha256="b" * 64,
    model=KitModel(file="model/edited.onnx", sha256="e" * 64, size_bytes=9, sidecars={}),
    runner="verify.py",
    measured_at="2026-03-02T10:00:00Z",
    runtime=Runtime(name="onnxruntime", version="1", providers=("CPU",)),
    device={"name": "a phone"},
    latency_ms=Latency(p50=1.0, p90=2.0, p99=3.0),
    labels=LABELS,
    forget=(1,),
    samples=180,
    per_class=(ClassCount(label="cat", total=90, correct=68, predicted=90),),
    before=None,
    host=ACCURACY,
    after=ACCURACY,
    delta_acc_r=None,
    agreement=1.0,
    notes=(),
    checks=CHECKS,
)

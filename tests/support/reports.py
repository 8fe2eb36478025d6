"""Reports of every kind, with labels that try to break a page."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.audit import (
    AuditReport,
    AuditSamples,
    Measure,
    Projection,
    Skipped,
)
from nhle_onnx.values.fleet import FleetReport, JobRecord, JobResult
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.outcomes import Outcomes, Role, ShownImage
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.report import (
    Accuracy,
    ProviderResult,
    SampleSummary,
    TrainingStep,
    UnlearnReport,
    Unmasked,
    VerifyReport,
)
from nhle_onnx.values.summary import FileSummary, ModelSummary
from nhle_onnx.values.verdict import Check

HOSTILE = "<script>alert(1)</script>"
LABELS = (
    "T-shirt/top", HOSTILE, "_$\\bad{$", "Dress", '"><img src=x onerror=alert(2)>',
    "esc\x1b[31m\u202e", "裙 &amp; 'quoted'", "a very long label " * 9, "Bag", "#010203 url(#x)",
)  # fmt: skip
ORIGINAL = Accuracy(
    acc_f=0.93,
    acc_r=0.9272,
    per_class=(0.865, 0.99, 0.895, 0.93, 0.89, 0.985, 0.795, 0.995, 0.98, None),
)
EDITED = Accuracy(
    acc_f=0.0,
    acc_r=0.92944,
    per_class=(0.885, 0.995, 0.885, 0.0, 0.91, 0.975, 0.795, 0.99, 0.975, None),
)
RETRAINED = Accuracy(
    acc_f=0.0,
    acc_r=0.9311,
    per_class=(0.895, 0.985, 0.88, 0.0, 0.92, 0.98, 0.8, 0.985, 0.97, None),
)
CHECKS = (
    Check(name="after.acc_f", value=0.0, limit=0.01, better="lower"),
    Check(name="unmasked.acc_f", value=0.01234, limit=0.05, better="lower"),
    Check(name="graph_changes", value=0, limit=0, better="lower"),
)
TRAJECTORY = tuple(
    TrainingStep(
        step=step,
        forget_loss=3.3 * 0.95**step,
        retain_loss=0.2 + 0.5 * 0.97**step,
        alignment_loss=1.5 * 0.96**step,
        forget_margin=2.3 - 0.05 * step,
    )
    for step in range(1, 98)
)
PREPROCESS = Preprocess(source="preprocessor_config.json", size=(28, 28), mean=(0.286,))
ENVIRONMENT = {"python": "3.11.7", "onnx": "1.23.2"}
TOOL = {"name": "nhle-onnx", "version": "0.1.0"}


def make_file(name: str) -> FileSummary:
    return FileSummary(path=name, sha256=name[0] * 64, size_bytes=6285527, sidecars={})


MEASURES = (
    Measure(
        attack="unmasking", name="unmasking.rebuilt_row",
        title="Acc_F with rows rebuilt from 16 samples",
        original=0.8935, edited=0.6123, reference=0.5987, position=0.9539,
    ),
    Measure(
        attack="separability", name="separability.ratio", title="separability, D_inter / D_intra",
        original=1.8712, edited=0.9121, reference=0.8734, position=0.96121,
    ),
    Measure(
        attack="probe", name="probe.recall", title="recall of a new linear head",
        original=0.91, edited=0.7351, reference=0.75, interval=(0.6812, 0.7877), position=1.0931,
    ),
    Measure(
        attack="membership", name="membership.entropy.balanced_accuracy",
        title="members told from others (balanced accuracy), from entropy",
        original=0.5344, edited=0.5012, reference=0.4987, interval=(0.4623, 0.5391),
        position=0.93,
    ),
    Measure(
        attack="relearning", name="relearning.steps",
        title="steps until 95 % of the original Acc_F is back (at most 100)",
        original=3.0, edited=21.0, reference=24.0, position=0.8571,
    ),
    Measure(
        attack="quantization", name="quantization.int8.acc_f",
        title="Acc_F, weights rounded to 8 bits", original=None, edited=0.00451, reference=None,
    ),
)  # fmt: skip


def spread(*, peak: int) -> tuple[float, ...]:
    shares = np.full(len(LABELS), 0.3 / (len(LABELS) - 1))
    shares[peak] = 0.7
    return tuple(float(share) for share in shares)


def make_audit() -> AuditReport:
    return AuditReport(
        tool=TOOL,
        environment=ENVIRONMENT,
        command="nhle-onnx audit model.unlearned.onnx --baseline 'model\x1b.onnx'",
        seed=7,
        model=make_file("edited\x1b[2J.onnx"),
        baseline=make_file("model.onnx"),
        reference=make_file("retrained.onnx"),
        labels=LABELS,
        forget=(3,),
        samples=AuditSamples(attack=160, judge=2000, members=128, source="samples/"),
        preprocess=PREPROCESS,
        provider="CPUExecutionProvider",
        device="cpu",
        accuracies={"original": ORIGINAL, "edited": EDITED, "reference": RETRAINED},
        flows={"original": spread(peak=3), "edited": spread(peak=1), "reference": spread(peak=0)},
        curves={
            "original": (0.0, 0.7, 0.9, 0.92),
            "edited": tuple(0.9 * (1 - 0.9**step) for step in range(25)),
            "reference": tuple(0.9 * (1 - 0.88**step) for step in range(25)),
        },
        measures=MEASURES,
        skipped=(Skipped(attack="quantization", reason="no image of a retained class was given"),),
        elapsed_s={"probe": 1.5},
        notes=(f"a note of {HOSTILE}",),
        checks=(*CHECKS[:1], Check(name="probe.recall", value=0.7351, limit=0.8, better="lower")),
    )


MOVED: dict[Role, int] = {"original": 3, "edited": 1, "reference": 0}


def make_projection() -> Projection:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, len(LABELS), 300)
    centres = rng.normal(size=(len(LABELS), 2)) * 4
    points: dict[Role, npt.NDArray[np.float64]] = {
        role: centres[np.where(classes == 3, moved, classes)] + rng.normal(size=(300, 2))
        for role, moved in MOVED.items()
    }
    return Projection(classes=classes, points=points)


def make_edit() -> UnlearnReport:
    head = ClassifierHead(
        op="Gemm", node="/head", weight="w", bias="b", bias_scale=1.0, class_axis=0,
        num_classes=10, feature_dim=84, features="f", logits="l", scores="l", is_clamped=False,
        output="l",
    )  # fmt: skip
    model = ModelSummary(
        path=f"{HOSTILE}.onnx", sha256="a" * 64, size_bytes=177000,
        sidecars={"w\x07.bin": "c" * 64}, opset=17, head=head, format="float32",
    )  # fmt: skip
    return UnlearnReport(
        tool=TOOL,
        environment=ENVIRONMENT,
        command="nhle-onnx unlearn model.onnx --forget 3",
        seed=7,
        model=model,
        edited=make_file("edited.onnx"),
        labels=LABELS,
        forget=(3,),
        samples=SampleSummary(
            forget=16, anchors=144, eval=2000, source="s", anchor_source="s", eval_source="e"
        ),
        preprocess=PREPROCESS,
        method={"method": "nhle-cwm", "lr": "auto", "parity_with_onnxruntime": 4.36e-07},
        provider="CPUExecutionProvider",
        device="cpu",
        before=ORIGINAL,
        after=EDITED,
        unmasked=Unmasked(acc_f=0.01234),
        delta_acc_r=0.0022,
        changed_tensors=("conv.weight",),
        added_tensors=(),
        trajectory=TRAJECTORY,
        elapsed_s={"load": 0.05},
        notes=("a note",),
        checks=CHECKS,
    )


PIXEL = "data:image/png;base64,iVBORw0KGgo="
OUTCOMES = Outcomes(
    images=30,
    available=30,
    confusion={
        "original": ((0, 0, 5), (0, 6, 3), (3, 3, 8), (8, 8, 14)),
        "edited": ((0, 0, 6), (0, 6, 2), (3, 0, 7), (3, 3, 1), (8, 8, 13), (8, 2, 1)),
    },
    forgotten=(
        ShownImage(index=5, true=3, answers={"original": 3, "edited": 3}, picture=PIXEL),
        ShownImage(index=4, true=3, answers={"original": 3, "edited": 0}, picture=PIXEL),
    ),
    mistakes=(ShownImage(index=9, true=8, answers={"original": 8, "edited": 2}, picture=PIXEL),),
)
AUDIT = make_audit()
EDIT = replace(make_edit(), outcomes=OUTCOMES)
VERIFICATION = VerifyReport(
    tool=TOOL,
    model=EDIT.edited,
    baseline=make_file("model.onnx"),
    labels=LABELS,
    forget=(3,),
    samples=30,
    preprocess=PREPROCESS,
    providers=(ProviderResult(provider="CPUExecutionProvider", accuracy=EDITED),),
    before=ORIGINAL,
    after=EDITED,
    unmasked=Unmasked(acc_f=0.01234),
    delta_acc_r=0.0022,
    changed_tensors=(),
    elapsed_s={"measure": 0.5},
    notes=(),
    outcomes=replace(OUTCOMES, forgotten=()),
    checks=CHECKS,
)
RECORD = JobRecord(
    inputs="a", report="b", edited="c", verdict="passed", acc_f=0.0, delta_acc_r=0.01,
    unmasked_acc_f=0.0, elapsed_s=3.0,
)  # fmt: skip
FLEET = FleetReport(
    tool=TOOL,
    engine="processes",
    workers=2,
    elapsed_s=4.0,
    interrupted=False,
    counts={"passed": 1, "refused": 1},
    jobs=(
        JobResult(
            name="fine", model="a.onnx", forget=("3",), status="passed", exit_code=0, record=RECORD
        ),
        JobResult(
            name="broken", model="b.onnx", forget=("3",), status="refused", exit_code=3,
            reason="no such file", remedy="Give another.",
        ),
    ),
)  # fmt: skip

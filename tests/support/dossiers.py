"""Dossiers that show everything a dossier can say."""

from dataclasses import replace
from typing import Any

from nhle_onnx.release.dossier.risks import list_gaps, list_risks
from nhle_onnx.values.audit import Skipped
from nhle_onnx.values.dossier import BoundFile, Dossier, Finding, Request, Signer
from nhle_onnx.values.patch import MadeFile, Manifest, PatchedFile, PatchedTensor
from nhle_onnx.values.verdict import Check, Evidence
from support.reports import AUDIT, EDIT, HOSTILE, TOOL

EVIDENCE = Evidence(images=1200, interval=(0.0, 0.0212), bound=0.0154)
KEPT = Check(name="after.acc_f", value=0.0, limit=0.02, better="lower", evidence=EVIDENCE)
OPEN = Check(name="skill_before", value=None, limit=0.1, better="higher", gap="no image is left")
CHANGE = replace(KEPT, name="delta_acc_r")
OWN = Check(name="probe.recall", value=0.5, limit=0.75, better="lower")  # of the user
UNKNOWN = replace(OPEN, name="known_before")
FILES = (
    BoundFile(
        role="original", name="original.onnx", sha256="a" * 64, size_bytes=None,
        sidecars={"w.bin": "b" * 64}, confirmed_by=("unlearn", "verify"),
    ),
    BoundFile(
        role="edited", name="edited.onnx", sha256="c" * 64, size_bytes=1234567, sidecars={},
        confirmed_by=("unlearn",),
    ),
    BoundFile(
        role="INT8", name="edited.bin", sha256="d" * 64, size_bytes=9, sidecars={}, confirmed_by=()
    ),
)  # fmt: skip
FINDINGS = (
    Finding(
        source="unlearn", verdict="passed", meaning="at most 1.5 % may still be recognised",
        checks=(KEPT, CHANGE), notes=("a note", f"a note of {HOSTILE}\x1b"),
    ),
    Finding(
        source="audit", verdict="not-judged", meaning="not enough",
        checks=(OPEN, KEPT, OWN, UNKNOWN),
    ),
)  # fmt: skip
PATCH = Manifest(
    tool=TOOL,
    base=(PatchedFile(name="a", sha256="a" * 64, size_bytes=1),),
    result=(MadeFile(name="b", sha256="b" * 64, size_bytes=0, pieces=()),),
    tensors=(
        PatchedTensor(
            name="w", dtype="float32", shape=(1,), rows="all", encoding="delta", after="c" * 64
        ),
        PatchedTensor(
            name="v", dtype="float32", shape=(1,), rows="all", encoding="new values", after="c" * 64
        ),
    ),
)
NEAR = replace(AUDIT.measures[0], position=0.4999)
ATTACKED = replace(
    AUDIT,
    reference=None,
    measures=(NEAR, replace(NEAR, title="half way", position=0.5), replace(NEAR, position=None)),
    skipped=(Skipped(attack="probe", reason="there are no samples"),),
)


def make_dossier(**changes: Any) -> Dossier:  # noqa: ANN401 - fields of any type
    """An erasure that two reports are about, one of them without a verdict."""
    dossier = Dossier(
        tool=TOOL,
        request=Request(
            id="DSR-1 <b>", received="2026-03-02", completed="2026-04-02", due="2026-04-01",
            basis="Art. 17 GDPR", forget=("Dress",),
        ),
        kind="erasure", labels=("cat", "2\x1b", "2"), forget=(1, 2),
        command="nhle-onnx unlearn model.onnx",
        method={"method": "nhle-cwm", "scope": "all"},
        files=FILES, findings=FINDINGS,
        gaps=list_gaps("erasure", FINDINGS, ("edited.bin",)),
        risks=list_risks(EDIT, ATTACKED, FINDINGS, FILES, PATCH, ("unlearn", "verify")),
        signers=(Signer(name="Ana Ruiz", role="DPO", date="2026-04-02"),),
        key_sha256=None,
    )  # fmt: skip
    return replace(dossier, **changes)


def make_masking() -> Dossier:
    """A masking that everything passed, as much as a masking can."""
    shown = (replace(FINDINGS[0], notes=()),)
    request = replace(make_dossier().request, due=None, basis=None, completed="2026-03-02")
    return make_dossier(
        request=request, kind="masking", findings=shown, gaps=list_gaps("masking", shown, ()),
        risks=(), files=FILES[:1], key_sha256="f" * 64, method={},
    )  # fmt: skip

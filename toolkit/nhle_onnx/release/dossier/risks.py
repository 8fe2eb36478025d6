"""What a dossier must say beside its figures: what was not shown, and what may be left."""

from collections.abc import Iterator

from nhle_onnx.release.meaning import describe_bound
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.detection_audit import AnyAudit
from nhle_onnx.values.dossier import BoundFile, Finding, Kind
from nhle_onnx.values.patch import Manifest
from nhle_onnx.values.verdict import group_gaps

_HALF_WAY = 0.5
MASKING = (
    "Only the output was masked: the model still holds what it learned of the class, and with its "
    "original last layer it can name the class again. Masking is not erasure."
)
_MISSING = {
    "verify": "No report of verify is given: the shipped file was not judged on its own.",
    "audit": "No report of audit is given: nobody tried to bring the class back.",
}

_ELSEWHERE = (
    "This dossier is about the model. The images themselves, other models trained on them, and "
    "backups are erased separately."
)


def list_gaps(
    kind: Kind, findings: tuple[Finding, ...], unmeasured: tuple[str, ...]
) -> tuple[str, ...]:
    """Say what was not shown, and what would show it."""
    return tuple(_list_gaps(kind, findings, unmeasured))


def list_risks(
    unlearn: EditReport,
    audit: AnyAudit | None,
    findings: tuple[Finding, ...],
    files: tuple[BoundFile, ...],
    patch: Manifest | None,
    pictured: tuple[str, ...],
) -> tuple[str, ...]:
    """Say what may be left although every gate passed."""
    names = name_forgotten(unlearn.labels, unlearn.forget)
    return (
        *_list_bounds(names, findings),
        *_list_attacks(audit),
        *_list_places(names, files, patch),
        *_list_pictures(names, pictured),
        f"Whoever has labelled images of {names} can train any model to recognise them again.",
        _ELSEWHERE,
    )


def _list_gaps(
    kind: Kind, findings: tuple[Finding, ...], unmeasured: tuple[str, ...]
) -> Iterator[str]:
    if kind == "masking":
        yield MASKING
    sources = {finding.source for finding in findings}
    yield from (missing for source, missing in _MISSING.items() if source not in sources)
    for name in unmeasured:
        yield f"No report is about {name}: whether it has forgotten was not measured."
    for finding in findings:
        for gap, names in group_gaps(finding.checks).items():
            yield f"{finding.source}, {', '.join(names)}: {gap}."


def _list_pictures(names: str, pictured: tuple[str, ...]) -> Iterator[str]:
    if pictured:
        yield (
            f"The reports {', '.join(pictured)} hold small pictures of images of {names}, and so "
            "does this dossier: keep it where such images may be kept, or make them without."
        )


def _list_bounds(names: str, findings: tuple[Finding, ...]) -> Iterator[str]:
    for finding in findings:
        for check in finding.checks:
            if bound := describe_bound(check, names):
                yield f"{finding.source}: {bound}."


def _list_attacks(audit: AnyAudit | None) -> Iterator[str]:
    if audit is None:
        return
    if audit.reference is None:
        yield (
            "The audit had no model that was retrained without the class, so it cannot tell which "
            "of its findings any model would show."
        )
    for measure in audit.measures:
        if measure.position is not None and measure.position < _HALF_WAY:
            yield (
                f"{measure.title}: nearer to the original model than to a retrained one "
                f"(position {measure.position:.2f}, where 0 is the original and 1 is retrained)."
            )
    for skipped in audit.skipped:
        yield f"The attack {skipped.attack} could not run: {skipped.reason}."


def _list_places(names: str, files: tuple[BoundFile, ...], patch: Manifest | None) -> Iterator[str]:
    original = next(file for file in files if file.role == "original")
    if original.size_bytes is None:
        yield (
            f"The original model ({original.name}) was not given, which does not show that it is "
            f"deleted: it and all its copies still know {names}."
        )
    else:
        name = original.name
        yield f"The original model ({name}) still knows {names}: delete it, and all copies."
    encodings = {tensor.encoding for tensor in patch.tensors} if patch else set()
    if encodings - {"new values"}:
        yield (
            "The patch holds differences: whoever has it and the edited model can restore most of "
            "the original. It can be made without them."
        )

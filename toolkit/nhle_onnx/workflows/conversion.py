"""The edited model in other formats, each compared with the .onnx file."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnx import ModelProto

from nhle_onnx.hints import hint
from nhle_onnx.release.ort_format import (
    MAX_DIFFERENCE,
    MIN_AGREEMENT,
    Comparison,
    compare_with_onnx,
    convert_to_ort,
)
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.values.report import ConvertedFile
from nhle_onnx.values.verdict import Check
from nhle_onnx.workflows.plan import Plan

_UNSEEN = hint(
    "the .ort file was compared with the .onnx file on noise, as there are no evaluation samples; "
    "give {data} to compare them on images"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The converted files, their entries in the report, and checks that they are the same model."""

    contents: dict[Path, bytes] = field(default_factory=dict)
    files: tuple[ConvertedFile, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()


def convert_edited(plan: Plan, edited: ModelProto) -> Conversion:
    """Convert to every requested format. Raises UnsupportedModelError where that is impossible."""
    path = plan.settings.ort_path
    if path is None:
        return Conversion()
    target, evaluation = plan.classifier.image_input, plan.evaluation
    is_seen = len(evaluation.indices) > 0
    images = evaluation.read() if is_seen else make_noise(target)
    content = convert_to_ort(edited)
    comparison = compare_with_onnx(
        content,
        edited,
        plan.classifier.head.output,
        images,
        target,
        plan.settings.options.batch_size,
    )
    source = evaluation.source if is_seen else "noise"
    converted = describe_conversion(path, content, comparison, source)
    return replace(converted, notes=() if is_seen else (_UNSEEN,))


def describe_conversion(
    path: Path, content: bytes, comparison: Comparison, source: str
) -> Conversion:
    """Describe a .ort file, and judge whether it is the same model."""
    file = ConvertedFile(
        format="ort",
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        images=comparison.images,
        source=source,
        agreement=comparison.agreement,
        largest_difference=comparison.largest_difference,
    )
    return Conversion(contents={path: content}, files=(file,), checks=_make_checks(file))


def _make_checks(file: ConvertedFile) -> tuple[Check, ...]:
    name = f"also.{file.format}"
    return (
        Check(name=f"{name}.agreement", value=file.agreement, limit=MIN_AGREEMENT, better="higher"),
        Check(
            name=f"{name}.largest_difference",
            value=file.largest_difference,
            limit=MAX_DIFFERENCE,
            better="lower",
        ),
    )

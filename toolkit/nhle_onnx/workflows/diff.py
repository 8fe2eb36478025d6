"""diff: the differences between two models. Never imports torch."""

import json
from pathlib import Path

from nhle_onnx.errors import InputRefusedError, describe_error
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.graph.unused import remove_unused, without_unused
from nhle_onnx.values.difference import Difference
from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.verification.changes import compare_models
from nhle_onnx.verification.differences import (
    list_metadata_differences,
    list_structure_differences,
    list_tensor_differences,
)
from nhle_onnx.workflows.classifier import summarize_file


def compare_files(
    first: Path, second: Path, report: Path | None, *, max_elements: int = MAX_ELEMENTS
) -> Difference:
    """Load two models and compare them. Allowed differences are read from the report of `unlearn`,
    by default the one beside the second model.
    """
    old, new = (load_model(path, max_elements=max_elements) for path in (first, second))
    claimed = _read_claim(second, report)
    if claimed is not None and without_unused(new.proto) is new.proto:
        remove_unused(old.proto)  # as `unlearn` did
    tensors = tuple(list_tensor_differences(old.proto, new.proto))
    names = [tensor.name for tensor in tensors]
    # adding a bias to a head without one is not a change of structure: docs/decisions/0006
    is_graph_same = compare_models(old.proto, new.proto).is_graph_same
    return Difference(
        first=summarize_file(old),
        second=summarize_file(new),
        tensors=tensors,
        structure=() if is_graph_same else tuple(list_structure_differences(old.proto, new.proto)),
        metadata=tuple(list_metadata_differences(old.proto, new.proto)),
        claimed=claimed,
        unclaimed=tuple(name for name in names if claimed is not None and name not in claimed),
        growth_bytes=new.size_bytes - old.size_bytes,
    )


def _read_claim(edited: Path, report: Path | None) -> tuple[str, ...] | None:
    path = report or edited.with_suffix(".report.json")
    if report is None and not path.is_file():
        return None
    try:
        document = json.loads(read_text(path))
        return (*map(str, document["changed_tensors"]), *map(str, document["added_tensors"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"{path} is not a report of `unlearn`: {describe_error(error)}"
        raise InputRefusedError(message, remedy="Give its .report.json.") from error

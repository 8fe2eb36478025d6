"""patch create: a patch from one model to another. Never imports torch."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from nhle_onnx.errors import InputRefusedError, describe_error
from nhle_onnx.graph.head.feature_tensors import list_feature_tensors
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.model_files import read_model_files
from nhle_onnx.graph.regular_files import read_regular
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.release.patch.apply import apply_patch
from nhle_onnx.release.patch.container import Container, open_patch, pack
from nhle_onnx.release.patch.create import ModelFiles, make_recipe
from nhle_onnx.release.patch.layout import list_stored
from nhle_onnx.release.report import require_report_of
from nhle_onnx.values.patch import MAX_PIECES, SCHEMA, Manifest, check_file_name
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.classifier import TOOL


def create_patch(settings: CreateSettings) -> Container:
    """Write the patch, after a trial application has produced the edited model."""
    paths = (settings.base, settings.edited)
    base, edited = (_read_files(path, settings.max_elements) for path in paths)
    forget, digest = _read_report(settings, edited.files.contents[settings.edited.name])
    check_writable(settings.out, force=settings.force)
    recipe = make_recipe(
        base.files,
        edited.files,
        deltas=not settings.no_deltas,
        features=base.features & edited.features,
    )
    if sum(len(file.pieces) for file in recipe.result) > MAX_PIECES:
        message = f"{settings.edited} differs from {settings.base} in too many places for a patch"
        raise InputRefusedError(message, remedy="Ship the edited model itself.")
    manifest = Manifest(
        schema=SCHEMA,
        tool=TOOL,
        base=recipe.base,
        result=recipe.result,
        tensors=recipe.tensors,
        forget=forget,
        report_sha256=digest,
    )
    content = pack(manifest, recipe.streams)
    with open_scratch(settings.out.parent, settings.out.name) as folder:
        trial = folder / "trial.nhlepatch"
        trial.write_bytes(content)
        apply_patch(open_patch(trial), settings.base, folder / settings.edited.name)
    write_files({settings.out: content}, force=settings.force)
    return open_patch(settings.out)


class _Read(NamedTuple):
    """A model's files, and the names of the tensors whose changes may be stored as differences."""

    files: ModelFiles
    features: frozenset[str]


def _read_files(path: Path, max_elements: int) -> _Read:
    """Read a model's files whole, as making a patch compares them."""
    model = load_model(path, max_elements=max_elements)
    if any(Path(name).name != name for name in model.sidecars):
        message = f"{path} keeps weights in another folder"
        raise InputRefusedError(message, remedy="Put them beside the model.")
    contents = read_model_files(model)
    try:
        for name in contents:
            check_file_name(name)
    except ValueError as error:
        message = f"{path} cannot be patched: {error}"
        raise InputRefusedError(message, remedy="Give it a name of plain letters.") from error
    files = ModelFiles(contents=contents, tensors=list_stored(path, contents[path.name]))
    return _Read(files, list_feature_tensors(model.proto))


def _read_report(settings: CreateSettings, edited: bytes) -> tuple[tuple[int, ...], str | None]:
    """Read which classes were forgotten, and the report's digest, if it is of the edited model."""
    path = settings.report or settings.edited.with_suffix(".report.json")
    if settings.report is None and not path.is_file():
        return (), None
    try:
        content = read_regular(path)
        document = json.loads(content)
        forget = tuple(int(index) for index in document["forget"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"{path} is not a report of `unlearn`: {describe_error(error)}"
        raise InputRefusedError(message, remedy="Give its .report.json.") from error
    require_report_of(path, document, settings.edited, hashlib.sha256(edited).hexdigest())
    return forget, hashlib.sha256(content).hexdigest()

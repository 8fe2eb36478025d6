"""patch create: a patch from one model to another. Never imports torch."""

import hashlib
import json
import tempfile
from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.model_files import read_model_files
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.release.patch.apply import apply_patch
from nhle_onnx.release.patch.container import Container, open_patch, pack
from nhle_onnx.release.patch.create import ModelFiles, make_recipe
from nhle_onnx.release.patch.layout import list_stored
from nhle_onnx.release.report import require_report_of
from nhle_onnx.values.patch import SCHEMA, Manifest, check_file_name
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.classifier import TOOL


def create_patch(settings: CreateSettings) -> Container:
    """Write the patch, after a trial application has produced the edited model."""
    check_writable(settings.out, force=settings.force)
    paths = (settings.base, settings.edited)
    base, edited = (_read_files(path, settings.max_elements) for path in paths)
    recipe = make_recipe(base, edited, deltas=not settings.no_deltas)
    forget, digest = _read_report(settings, edited.contents[settings.edited.name])
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
    prefix = f".{settings.out.name}."  # names its owner, should this process be killed
    with tempfile.TemporaryDirectory(prefix=prefix, dir=settings.out.parent) as folder:
        trial = Path(folder) / "trial.nhlepatch"
        trial.write_bytes(content)
        apply_patch(open_patch(trial), settings.base, Path(folder) / settings.edited.name)
    write_files({settings.out: content}, force=settings.force)
    return open_patch(settings.out)


def _read_files(path: Path, max_elements: int) -> ModelFiles:
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
    return ModelFiles(contents=contents, tensors=list_stored(path, contents[path.name]))


def _read_report(settings: CreateSettings, edited: bytes) -> tuple[tuple[int, ...], str | None]:
    """Read which classes were forgotten, and the report's digest, if it is of the edited model."""
    path = settings.report or settings.edited.with_suffix(".report.json")
    if settings.report is None and not path.is_file():
        return (), None
    try:
        content = path.read_bytes()
        document = json.loads(content)
        forget = tuple(int(index) for index in document["forget"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"{path} is not a report of `unlearn`: {error}"
        raise InputRefusedError(message, remedy="Give its .report.json.") from error
    require_report_of(path, document, settings.edited, hashlib.sha256(edited).hexdigest())
    return forget, hashlib.sha256(content).hexdigest()

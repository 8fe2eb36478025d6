"""FLEET.toml: which models forget which classes. A job's other keys are flags of `unlearn`."""

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nhle_onnx.cli.config import make_defaults, parse_toml
from nhle_onnx.cli.unlearn import read_settings, unlearn_command
from nhle_onnx.errors import UsageError
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.fleet_job import EDITED, FleetJob

_UNSAFE = re.compile(r"[^\w.-]+")
_DIGEST_LENGTH = 8
_MODEL_KEYS = frozenset({"model", "models"})
# of `unlearn`: what each job says itself, and outputs and behaviour, which the fleet decides
_OURS = frozenset(
    {
        "model", "forget", "out", "page", "bom", "force", "dry_run", "config", "save_config",
        "log_file", "as_json", "verbose", "quiet", "max_memory", "max_seconds", "no_isolation",
        "allow_unjudged", "push",
    }
)  # fmt: skip

Class = int | Annotated[str, Field(min_length=1)]
Classes = Annotated[list[Class], Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    """One `[[job]]`: every model with every request. A list of lists is several requests."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: Annotated[str, Field(pattern=r"^[\w.-]{0,64}$")] = ""
    model: Text | None = None
    models: Annotated[list[Text], Field(min_length=1)] | None = None
    forget: Class | Classes | Annotated[list[Classes], Field(min_length=1)]

    @property
    def requests(self) -> list[tuple[str, ...]]:
        """Each request, as `unlearn` takes it."""
        given = self.forget if isinstance(self.forget, list) else [self.forget]
        several = given if isinstance(given[0], list) else [given]
        return [tuple(map(str, request)) for request in several if isinstance(request, list)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    defaults: dict[str, Any] = {}
    job: Annotated[list[dict[str, Any]], Field(min_length=1)]


def read_fleet(path: Path, out: Path) -> tuple[FleetJob, ...]:
    """Read the jobs of a fleet file, each with its own folder in `out`.

    Paths are relative to the file's folder. Raises UsageError that names the file and the key.
    """
    file = _parse(path)
    jobs: dict[str, FleetJob] = {}
    for number, table in enumerate(file.job, start=1):
        where = f"{path}, job {number}"
        for job in _expand(where, _merge(file.defaults, table), path.parent, out):
            if job.name in jobs:
                message = f"{where} repeats another job's request for {job.settings.model}"
                raise UsageError(message, remedy='Give one of them a name = "…" of its own.')
            jobs[job.name] = job
    return tuple(jobs.values())


def _parse(path: Path) -> _File:
    try:
        return _File.model_validate(parse_toml(path, "Give a TOML file with [[job]] tables."))
    except ValidationError as error:
        raise _name_key(str(path), error) from error


def _merge(defaults: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a job over the defaults; its own model replaces any default models."""
    hidden = _MODEL_KEYS if _MODEL_KEYS & table.keys() else frozenset()
    kept = {key: value for key, value in defaults.items() if key not in hidden}
    return kept | dict(table)


def _expand(where: str, table: Mapping[str, Any], folder: Path, out: Path) -> Iterator[FleetJob]:
    try:
        job = _Table.model_validate(table)
    except ValidationError as error:
        raise _name_key(where, error) from error
    if (job.model is None) == (job.models is None):
        message = f"{where}: it needs either model or models"
        raise UsageError(message, remedy='Give model = "…", or models = ["…", …].')
    template = _read_flags(where, job.model_extra or {}, folder)
    for pattern in job.models or [job.model or ""]:
        for model in _find_models(where, pattern, folder):
            for request in job.requests:
                name = _name_job(job.name, model, folder, request)
                edited = out / name / EDITED
                settings = replace(template, model=model, forget=request, out=edited, force=True)
                yield FleetJob(name=name, settings=settings, root=folder.resolve())


def _find_models(where: str, pattern: str, folder: Path) -> list[Path]:
    """Return the named file, or all files that a pattern with `*` matches."""
    if not glob.has_magic(pattern):
        return [_resolve(pattern, folder)]
    found = sorted(glob.glob(str(folder / pattern), recursive=True))  # noqa: PTH207 - absolute too
    if not found:
        message = f"{where}: no file matches {pattern!r} in models"
        raise UsageError(message, remedy="Give the path of a model, relative to the fleet file.")
    return [_resolve(path, folder) for path in found]


def _read_flags(where: str, given: Mapping[str, Any], folder: Path) -> UnlearnSettings:
    """Read settings without the model and the request, checked as on the command line."""
    values = make_defaults(where, unlearn_command, given, folder.resolve(), without=_OURS)
    values["forget"] = ["0"]
    try:
        context = unlearn_command.make_context("unlearn", ["--", "model"], default_map=values)
    except click.ClickException as error:
        message = f"{where}: {error.format_message()}"
        raise UsageError(message, remedy="See `nhle-onnx unlearn --help`.") from error
    return read_settings(Path("model"), dict(context.params))


def _name_job(prefix: str, model: Path, folder: Path, request: tuple[str, ...]) -> str:
    """Make a readable folder name, unique by a digest of the model's path and the request."""
    place = Path(os.path.relpath(model, folder.resolve())).as_posix()
    own = model.parent.name if model.stem == "model" else model.stem
    words = _UNSAFE.sub("_", "-".join(filter(None, [prefix, own, "forget", *request])))
    digest = hashlib.sha256("\0".join([prefix, place, *request]).encode()).hexdigest()
    return f"{words[:128]}-{digest[:_DIGEST_LENGTH]}"


def _resolve(path: str, folder: Path) -> Path:
    """Make a path absolute, since a job may run in another folder or on another machine."""
    return (folder / Path(path).expanduser()).resolve()


def _name_key(where: str, error: ValidationError) -> UsageError:
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"] if not str(part).startswith(("list[", "function"))]
    key = ".".join(parts) or "its content"
    message = f"{where}: {key}: {first['msg']}"
    return UsageError(message, remedy='A job is [[job]] with model = "…" and forget = CLASS.')

"""Files of a case by their digests, each compared with every document that states it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.regular_files import digest_regular
from nhle_onnx.release.sidecars import list_sidecars
from nhle_onnx.values.dossier import BoundFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a document says about a file: its digest, and those of files that hold its weights."""

    source: str
    sha256: str
    sidecars: Mapping[str, str] = field(default_factory=dict)


def bind_file(role: str, path: Path, statements: tuple[Statement, ...]) -> BoundFile:
    """Digest a file and its sidecars. Raises InputRefusedError where any statement differs."""
    try:
        sha256 = digest_regular(path)
        sidecars = {
            name: digest_regular(path.parent / name) for name in sorted(list_sidecars(path))
        }
        size = sum(file.stat().st_size for file in (path, *map(path.parent.__truediv__, sidecars)))
    except OSError as error:
        unread = error.filename or path
        raise refuse_unreadable(unread, error, "Check the path in the case.") from error
    for statement in statements:
        _compare(role, path, (sha256, sidecars), statement)
    return BoundFile(
        role=role,
        name=path.name,
        sha256=sha256,
        size_bytes=size,
        sidecars=sidecars,
        confirmed_by=tuple(statement.source for statement in statements),
    )


def bind_absent(role: str, name: str, statements: tuple[Statement, ...]) -> BoundFile:
    """Return a file that is not there any more, as all documents state it."""
    first, *others = statements
    for other in others:
        if (other.sha256, dict(other.sidecars)) != (first.sha256, dict(first.sidecars)):
            message = f"{first.source} and {other.source} name different {role} models"
            raise InputRefusedError(message, remedy="Give reports about the same models.")
    return BoundFile(
        role=role,
        name=PurePath(name).name,
        sha256=first.sha256,
        size_bytes=None,
        sidecars=dict(first.sidecars),
        confirmed_by=tuple(statement.source for statement in statements),
    )


def _compare(
    role: str, path: Path, found: tuple[str, dict[str, str]], statement: Statement
) -> None:
    stated = (statement.sha256, dict(statement.sidecars))
    if found != stated:
        message = (
            f"{path} is not the {role} that {statement.source} is about: SHA-256 {found[0]}, not "
            f"{statement.sha256}"
        )
        if found[0] == statement.sha256:
            message = f"the weights beside {path} are not those that {statement.source} is about"
        raise InputRefusedError(
            message, remedy="Give the file and the report that belong together."
        )

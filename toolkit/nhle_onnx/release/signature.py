"""Signing files together, and checking that they are unchanged."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nhle_onnx.errors import InputRefusedError, UsageError, refuse_unreadable
from nhle_onnx.graph.regular_files import digest_regular, is_inside, read_regular
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.release.sidecars import list_sidecars
from nhle_onnx.values.signature import SignedFile, SigningKey, TrustedKey

_INSTALL = "In a clone of nhle-onnx: `pip install '.[sign]'`."
_GIVE = "Give the path of a readable file."
_DISTRUST = "Do not use these files; get them again, with their signature, from their source."


def name_signature(paths: Sequence[Path]) -> Path:
    """Return the default path of the signature of some files."""
    return paths[0].with_name(f"{paths[0].name}.sig")


def sign_files(
    paths: Sequence[Path], signature: Path, key: SigningKey, *, force: bool = False
) -> tuple[SignedFile, ...]:
    """Sign files of one folder together, with those that hold a model's weights, and nothing else.

    Raises InputRefusedError for files or a key that cannot be read, and if a signature exists.
    """
    _require_extra()
    from nhle_onnx.release.bundle import make_bundle  # noqa: PLC0415 - needs the extra, is slow

    folder = _find_folder(paths)
    for path in paths:
        _require_file(path)
    names = sorted({path.name for path in paths} | _name_sidecars(paths))
    for name in names:
        _require_file(folder / name)
        if (folder / name).resolve() == signature.resolve():
            message = f"{signature} will hold the signature, so it cannot be signed itself"
            raise InputRefusedError(message, remedy="Name the files to sign, without it.")
    check_writable(signature, force=force)
    bundle, digests = make_bundle(folder, names, key)
    write_files({signature: bundle}, force=force)
    return tuple(SignedFile(name=name, sha256=digests[name]) for name in names)


def sign_contents(contents: Mapping[str, bytes], key: SigningKey) -> bytes:
    """Sign files of one folder that are not written yet, by name; return the signature."""
    _require_extra()
    from nhle_onnx.release.bundle import make_bundle  # noqa: PLC0415 - needs the extra, is slow

    with open_scratch() as folder:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return make_bundle(folder, sorted(contents), key)[0]


def fingerprint(key: SigningKey) -> str:
    """Return the SHA-256 of a key's public half."""
    _require_extra()
    from nhle_onnx.release.keys import digest_public_key  # noqa: PLC0415 - as above

    return digest_public_key(key)


def check_signature(
    paths: Sequence[Path], signature: Path, trusted: TrustedKey, *, is_whole: bool = True
) -> tuple[SignedFile, ...]:
    """Check that every named file, and those that hold a model's weights, are unchanged.

    With `is_whole`, all other files that were signed with them are checked as well. Returns the
    signed digests, so that a file read later can be compared. Raises InputRefusedError that names
    every file that is missing, changed or was not signed.
    """
    _require_extra()
    from nhle_onnx.release.bundle import read_bundle  # noqa: PLC0415 - needs the extra, is slow

    folder = _find_folder(paths)
    signed = read_bundle(_read(signature), str(signature), trusted)
    names = {path.name for path in paths} | (signed.keys() if is_whole else set())
    problems = _compare(folder, names, signed)
    if not problems:  # a model's sidecars are only read once it is known to be the signed model
        sidecars = _name_sidecars(paths)
        problems = _compare(folder, sidecars - names, signed)
        names |= sidecars
    if problems:
        message = f"{signature} does not fit: {'; '.join(problems)}"
        raise InputRefusedError(message, remedy=_DISTRUST)
    return tuple(SignedFile(name=name, sha256=signed[name]) for name in sorted(names))


def _require_extra() -> None:
    try:
        import nhle_onnx.release.bundle  # noqa: F401, PLC0415
    except ImportError as error:
        message = f"signatures need a package that is not installed: {error.name}"
        raise UsageError(message, remedy=_INSTALL) from error


def _find_folder(paths: Iterable[Path]) -> Path:
    for path in paths:
        if path.is_dir():
            raise InputRefusedError(f"{path} is a folder", remedy="Name its files.")
    folders = list(dict.fromkeys(path.parent.resolve() for path in paths))
    if len(folders) > 1:
        message = f"the files lie in several folders: {', '.join(map(str, folders))}"
        raise InputRefusedError(
            message, remedy="Put them into one folder, or sign each folder's files separately."
        )
    return folders[0]


def _name_sidecars(paths: Iterable[Path]) -> set[str]:
    return {name for path in paths for name in list_sidecars(path)}


def _compare(folder: Path, names: Iterable[str], signed: Mapping[str, str]) -> list[str]:
    """Describe each file that is not as it was signed."""
    problems = []
    for name in sorted(names):
        if name not in signed:
            problems.append(f"{name} was not signed")
        elif not is_inside(name):
            problems.append(f"{name} lies outside the folder")
        elif not (folder / name).exists():
            problems.append(f"{name} was signed and is missing")
        elif not _is_plain(folder / name):
            problems.append(f"{name} is a link or not a file")
        elif _digest(folder / name) != signed[name]:
            problems.append(f"{name} was changed")
    return problems


def _require_file(path: Path) -> None:
    if not _is_plain(path):
        message = f"{path} {'is a link or not a file' if path.exists() else 'does not exist'}"
        raise InputRefusedError(message, remedy="Put the file itself there.")


def _is_plain(path: Path) -> bool:
    """Whether it is not a link: a linked model's sidecars lie in another folder."""
    return path.is_file() and not path.is_symlink()


def _digest(path: Path) -> str:
    try:
        return digest_regular(path)
    except OSError as error:
        raise refuse_unreadable(path, error, _GIVE) from error


def _read(path: Path) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError as error:
        message = f"{path} does not exist"
        raise InputRefusedError(message, remedy="Give the signature's file.") from error
    except OSError as error:
        raise refuse_unreadable(path, error, _GIVE) from error

"""OCI artefacts in a folder, laid out as ORAS does, which can copy them to a registry."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.graph.save import write_files, write_streams
from nhle_onnx.values.push import Package

ARTIFACT = "application/vnd.nhle-onnx.model.v1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_TAG = "org.opencontainers.image.ref.name"
_LAYOUT = {"imageLayoutVersion": "1.0.0"}
_TYPES = {".json": "application/json", ".md": "text/markdown", ".txt": "text/plain"}
_TAG_FORM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CHUNK = 2**20

Fields = dict[str, Any]


def push_oci(place: str, package: Package) -> str:
    """Add the package to a layout under a tag, by default `latest`; return its digest.

    Blobs are written first and the index last, so an interrupted push leaves the old one.
    """
    folder, tag = _split(place)
    index = _read_index(folder)
    blobs = folder / "blobs" / "sha256"
    _make_folder(blobs)
    layers = [_add_file(blobs, title, path) for title, path in sorted(package.files.items())]
    layers.append(_add_text(blobs, "README.md", package.card))
    manifest = _describe_manifest(package, _add_content(blobs, b"{}", _EMPTY), layers)
    described = _add_content(blobs, _dump(manifest), MANIFEST)
    others = [each for each in index["manifests"] if each.get("annotations", {}).get(_TAG) != tag]
    described |= {"artifactType": ARTIFACT, "annotations": {_TAG: tag}}
    index["manifests"] = [*others, described]
    write_files(
        {folder / "oci-layout": _dump(_LAYOUT), folder / "index.json": _dump(index)}, force=True
    )
    return f"{folder}:{tag}@{described['digest']}"


def _split(place: str) -> tuple[Path, str]:
    """Return the folder and the tag; a colon may also be part of a path."""
    name, _, tag = place.rpartition(":")
    is_tagged = bool(name) and _TAG_FORM.fullmatch(tag) is not None
    return Path(name if is_tagged else place).expanduser(), tag if is_tagged else "latest"


def _read_index(folder: Path) -> Fields:
    """Read the index of a layout, or start one in a new or empty folder."""
    empty: Fields = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": []}
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return empty
    try:
        # not by `open_regular`: these are not inputs, and are written anew
        if json.loads((folder / "oci-layout").read_bytes()) == _LAYOUT:
            index: Fields = json.loads((folder / "index.json").read_bytes())
            if isinstance(index["manifests"], list):
                return index
    except (OSError, ValueError, LookupError, TypeError):
        pass
    message = f"{folder} is not an OCI layout"
    raise InputRefusedError(message, remedy="Give a new folder, or one with a layout.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made a folder: {error.strerror}"
        raise UsageError(message, remedy="Give another folder.") from error


def _describe_manifest(package: Package, config: Fields, layers: list[Fields]) -> Fields:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": config,
        "layers": layers,
        "annotations": {_TITLE: package.name, "nhle-onnx.verdict": package.report.verdict},
    }


def _add_text(blobs: Path, title: str, text: str) -> Fields:
    described = _add_content(blobs, text.encode(), _name_type(title))
    return described | {"annotations": {_TITLE: title}}


def _add_content(blobs: Path, content: bytes, kind: str) -> Fields:
    digest = hashlib.sha256(content).hexdigest()
    write_files({blobs / digest: content}, force=True)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


def _add_file(blobs: Path, title: str, path: Path) -> Fields:
    """Copy a file, in pieces: a model may be larger than the memory."""
    with open_regular(path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = stream.seek(0, 2)
        stream.seek(0)

        def copy(target: Any) -> None:  # noqa: ANN401 - a binary stream
            while chunk := stream.read(_CHUNK):
                target.write(chunk)

        write_streams({blobs / digest: copy}, force=True)
    return {
        "mediaType": _name_type(title),
        "digest": f"sha256:{digest}",
        "size": size,
        "annotations": {_TITLE: title},
    }


def _name_type(title: str) -> str:
    return _TYPES.get(Path(title).suffix, "application/octet-stream")


def _dump(document: Fields) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

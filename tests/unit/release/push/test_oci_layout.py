"""A layout on disk: what a registry finds there, and what a push leaves of an older one."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from nhle_onnx.errors import UsageError
from nhle_onnx.release.push.oci import push_oci
from nhle_onnx.values.push import Package
from support.assertions import assert_refuses, assert_told
from support.reports import EDIT

TITLE, TAG = "org.opencontainers.image.title", "org.opencontainers.image.ref.name"
MODEL = b"model" * 300_000  # in several pieces
CONTENTS = {
    "m.onnx": (MODEL, "application/octet-stream"),
    "labels.txt": (b"a\nb\n", "text/plain"),
    "m.report.json": (b"{}\n", "application/json"),
}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    for name, (content, _) in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    files = {name: tmp_path / name for name in CONTENTS}
    return Package(name="m", report=EDIT, files=files, card="# card")


def read(layout: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((layout / name).read_bytes())
    return document


def describe(content: bytes, kind: str, **more: object) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": kind, "digest": digest, "size": len(content), **more}


def read_blob(layout: Path, described: dict[str, Any]) -> bytes:
    return (layout / "blobs" / described["digest"].replace(":", "/")).read_bytes()


def test_a_layout_holds_every_file_by_its_digest(package: Package, tmp_path: Path) -> None:
    layout = tmp_path / "new" / "layout"
    told = push_oci(str(layout), package)
    index = read(layout, "index.json")
    (entry,) = index.pop("manifests")
    assert index == {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
    }  # fmt: skip
    assert told == f"{layout}:latest@{entry['digest']}"
    assert read(layout, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    content = read_blob(layout, entry)
    kind = "application/vnd.oci.image.manifest.v1+json"
    artifact = "application/vnd.nhle-onnx.model.v1"
    assert entry == describe(content, kind, artifactType=artifact, annotations={TAG: "latest"})
    manifest = json.loads(content)
    contents = CONTENTS | {"README.md": (b"# card", "text/markdown")}
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": kind,
        "artifactType": artifact,
        "config": describe(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [
            describe(*contents[title], annotations={TITLE: title})
            for title in ("labels.txt", "m.onnx", "m.report.json", "README.md")
        ],
        "annotations": {TITLE: "m", "nhle-onnx.verdict": "passed"},
    }
    assert content == json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
    assert read_blob(layout, manifest["config"]) == b"{}"
    for layer in manifest["layers"]:
        assert read_blob(layout, layer) == contents[layer["annotations"][TITLE]][0]


def test_a_tag_moves_and_other_manifests_stay(package: Package, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    assert push_oci(f"{layout}:v1", package).startswith(f"{layout}:v1@sha256:")
    index = read(layout, "index.json")
    foreign = index["manifests"][0] | {"digest": "sha256:0", "annotations": {}}
    bare = {key: value for key, value in foreign.items() if key != "annotations"}
    index["manifests"] += [foreign, bare]
    (layout / "index.json").write_text(json.dumps(index))
    push_oci(f"{layout}:v2", package)
    push_oci(f"{layout}:v1", Package(name="n", report=EDIT, files={}, card=""))
    *others, second, first = read(layout, "index.json")["manifests"]
    assert others == [foreign, bare]
    assert [each["annotations"][TAG] for each in (second, first)] == ["v2", "v1"]
    assert json.loads(read_blob(layout, first))["annotations"][TITLE] == "n"


@pytest.mark.parametrize(
    ("place", "folder", "tag"),
    [
        ("a", "a", "latest"), ("a:v1", "a", "v1"), ("a:b:v1", "a:b", "v1"), ("a:.x", "a:.x", None),
        ("a:b c", "a:b c", None), (f"a:{'t' * 128}", "a", "t" * 128),
        (f"a:{'t' * 129}", f"a:{'t' * 129}", None), (":v1", ":v1", None),
        ("~/a:v1", "home/a", "v1"),
    ],
)  # fmt: skip
def test_what_stands_behind_a_colon_is_a_tag(
    place: str, folder: str, tag: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    push_oci(place, Package(name="m", report=EDIT, files={}, card=""))
    (entry,) = read(tmp_path / folder, "index.json")["manifests"]
    assert entry["annotations"] == {TAG: tag or "latest"}


@pytest.mark.parametrize(
    "files",
    [
        {"other.txt": ""},
        {"oci-layout": '{"imageLayoutVersion": "2.0.0"}', "index.json": '{"manifests": []}'},
        {"oci-layout": '{"imageLayoutVersion": "1.0.0"}'},
        {"oci-layout": '{"imageLayoutVersion": "1.0.0"}', "index.json": "["},
        {"oci-layout": '{"imageLayoutVersion": "1.0.0"}', "index.json": '{"manifests": {}}'},
        {"oci-layout": '{"imageLayoutVersion": "1.0.0"}', "index.json": "{}"},
        {"oci-layout": '{"imageLayoutVersion": "1.0.0"}', "index.json": "[]"},
    ],
)
def test_a_folder_that_is_no_layout_stays_as_it_is(
    files: dict[str, str], package: Package, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    for name, text in files.items():
        (layout / name).write_text(text)
    error = assert_refuses(lambda: push_oci(str(layout), package))
    assert error.reason == f"{layout} is not an OCI layout"
    assert error.remedy == "Give a new folder, or one with a layout."
    assert {path.name: path.read_text() for path in layout.iterdir()} == files


def test_a_file_is_no_folder(package: Package, tmp_path: Path) -> None:
    error = assert_refuses(lambda: push_oci(str(tmp_path / "m.onnx"), package))
    assert error.reason == f"{tmp_path / 'm.onnx'} is not an OCI layout"
    with pytest.raises(UsageError) as caught:
        push_oci(str(tmp_path / "m.onnx" / "x"), package)
    folder = tmp_path / "m.onnx" / "x" / "blobs" / "sha256"
    assert_told(caught.value, f"{folder} cannot be made a folder: Not a directory")
    assert caught.value.remedy == "Give another folder."

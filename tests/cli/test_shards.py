"""Images in tars and in Parquet are the images that they were in a folder."""

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.datasets import FORMS, add_member, encode, read_samples
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

GREY = encode(np.zeros((28, 28), np.uint8))


def verify(nhle: Nhle, data: Path, *flags: object) -> dict[str, Any]:
    result = nhle("verify", LENET, "--forget", 3, "--data", data, "--json", *flags)
    report = json.loads(result.out)
    del report["elapsed_s"]
    return report


def test_same_figures_in_every_form(nhle: Nhle, tmp_path: Path) -> None:
    reports = [verify(nhle, write(tmp_path, read_samples(60))) for write in FORMS.values()]
    assert reports[0]["samples"] == 60
    assert all(report == reports[0] for report in reports)


SLOW = [pytest.param(form, marks=pytest.mark.slow) for form in ("folder", "parquet")]


@pytest.mark.parametrize("form", ["arrays", "tars", *SLOW])
def test_same_figures_on_processes(nhle: Nhle, tmp_path: Path, form: str) -> None:
    data = EVALUATION if form == "arrays" else FORMS[form](tmp_path, read_samples(150))
    flags = ("--baseline", LENET, "--batch-size", 16)
    theirs = verify(nhle, data, *flags, "--engine", "processes", "--jobs", 2)
    assert theirs == verify(nhle, data, *flags)


def test_samples_to_forget_may_be_in_shards_too(nhle: Nhle, tmp_path: Path) -> None:
    samples = FORMS["parquet"](tmp_path, read_samples(150))
    out = tmp_path / "edited.onnx"
    command = ("unlearn", LENET, "--forget", 3, "--samples", samples, "--samples-per-class", 4)
    assert nhle(*command, "--method", "cwm", "--out", out).code == 6  # few judge


def refuse(nhle: Nhle, data: Path, *told: str) -> None:
    result = nhle("verify", LENET, "--forget", 3, "--data", data)
    assert result.code == 3
    for text in (data.name, *told):
        assert text in result.err


def write_tar(folder: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    path = folder / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for member in members:
            if isinstance(member, tuple):
                add_member(archive, *member)
            else:
                archive.addfile(member)
    return path


def make_link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_a_tar_lead_nowhere(nhle: Nhle, tmp_path: Path, kind: bytes) -> None:
    link = make_link("3/secret.png", str(EVALUATION), kind)
    refuse(nhle, write_tar(tmp_path, link), "holds no images")


def test_names_in_a_tar_write_nothing(nhle: Nhle, tmp_path: Path) -> None:
    names = [f"../../3/{index}.png" for index in range(3)] + ["/3/root.png"]
    path = write_tar(tmp_path, *((name, GREY) for name in names))
    before = sorted(tmp_path.parent.rglob("*"))
    assert verify(nhle, path)["samples"] == 4
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_an_image_in_a_tar_has_a_limit(nhle: Nhle, tmp_path: Path) -> None:
    path = tmp_path / "huge.tar"
    member = tarfile.TarInfo("3/huge.png")
    member.size = 2**26 + 1
    with path.open("wb") as stream:  # sparse: it takes no room
        stream.write(member.tobuf())
        stream.truncate(stream.tell() + member.size + 1024)
    refuse(nhle, path, "3/huge.png", "more than")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([("a.png", GREY), ("b.cls", b"3")], "a.png has no a.cls"),
        ([("a.png", GREY), ("a.cls", b"77")], "is of class 77"),
        ([("Hats/a.png", GREY)], "is of class 'Hats'"),
        ([("3/a.png", GREY[:40])], "cannot be decoded"),
        ([("a.txt", b"3")], "holds no images"),
        ([("a.png", GREY), ("a.cls", b"3" * 5000)], "more than 1,024"),
    ],
)
def test_a_tar_of_the_wrong_form_is_refused(
    nhle: Nhle, tmp_path: Path, members: list[tuple[str, bytes]], told: str
) -> None:
    refuse(nhle, write_tar(tmp_path, *members), told)


@pytest.mark.parametrize("cut", [100, 700, -700])
def test_a_damaged_tar_is_refused(nhle: Nhle, tmp_path: Path, cut: int) -> None:
    path = write_tar(tmp_path, *((f"3/{i}.png", GREY + bytes(9000)) for i in range(3)))
    content = path.read_bytes()[: 3 * (512 + 9216)]
    path.write_bytes(content[:cut])
    refuse(nhle, path)


def test_compressed_tar_is_refused(nhle: Nhle, tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w:gz") as archive:
        add_member(archive, "3/a.png", GREY)
    refuse(nhle, path, "uncompressed tar")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"image": [GREY]}, "has the columns image"),
        ({"label": [3]}, "has the columns label"),
        ({"image": [GREY], "label": [10]}, "is of class 10"),
        ({"image": [GREY], "label": ["Hat"]}, "is of class 'Hat'"),
        ({"image": [GREY], "label": [None, 3][:1]}, "columns image, label"),
        ({"image": [GREY, None], "label": [3, 3]}, "row 1 holds no image"),
        ({"image": [GREY, GREY], "label": [3, None]}, "without a class"),
        ({"image": [b"no image"], "label": [3]}, "cannot be decoded"),
    ],
)
def test_parquet_of_the_wrong_form_is_refused(
    nhle: Nhle, tmp_path: Path, columns: dict[str, list[object]], told: str
) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "bad.parquet"
    parquet.write_table(pa.table(columns), path)
    refuse(nhle, path, told)


@pytest.mark.parametrize("cut", [3, 1000, -20])
def test_damaged_parquet_is_refused(nhle: Nhle, tmp_path: Path, cut: int) -> None:
    path = FORMS["text parquet"](tmp_path, read_samples(20))
    path.write_bytes(path.read_bytes()[:cut])
    refuse(nhle, path, "cannot be read as Parquet")


@pytest.mark.parametrize("missing", ["pyarrow", "ray"])
def test_what_is_not_installed_is_named(
    nhle: Nhle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    data = FORMS["text parquet"](tmp_path, read_samples(20))
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("nhle_onnx.data.parquet", "nhle_onnx.engines.ray_cluster"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    engine = "local" if missing == "pyarrow" else "ray"
    result = nhle("verify", LENET, "--forget", 3, "--data", data, "--engine", engine)
    assert result.code == 5
    assert "pip install '.[ray]'" in result.err

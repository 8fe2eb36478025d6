"""dossier: a request bound to what shows how it was fulfilled, or nothing at all."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nhle_onnx.cli.main import run
from nhle_onnx.release.report import render_json
from nhle_onnx.values.audit import AuditReport, AuditSamples, Measure
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check, Evidence
from support.runs import Nhle, Unlearned
from support.shipped import EVALUATION, LENET, copy_sidecars
from support.signing_keys import write_pair

HEAD = """[request]
id = "DSR-1 <b>"
received = 2026-03-02
completed = 2026-03-20
due = 2026-04-01
forget = "Dress"
"""
FILES = """[files]
original = "original.onnx"
edited = "edited.onnx"
unlearn = "edited.report.json"
verify = "verify.json"
audit = "audit.json"
patch = "edited.nhlepatch"
kits = ["kit.zip"]
devices = ["device.json"]
"""
SIGNED = '[[signed_by]]\nname = "Ana Ruiz"\nrole = "Data protection officer"\ndate = 2026-03-20\n'
REFERENCE = FileSummary(path="r.onnx", sha256="2" * 64, size_bytes=1, sidecars={})
ACCURACY = Accuracy(acc_f=0.0, acc_r=0.9, per_class=(0.9,) * 3 + (0.0,) + (0.9,) * 6)


def summarize(path: Path) -> FileSummary:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return FileSummary(path=str(path), sha256=digest, size_bytes=len(content), sidecars={})


def make_audit(folder: Path) -> AuditReport:
    """As `audit` reports, of an attack that found nothing; attacks take too long here."""
    evidence = Evidence(images=200, interval=(0.0, 0.02), bound=0.015)
    return AuditReport(
        tool={"name": "nhle-onnx", "version": "1"}, environment={}, command="", seed=0,
        model=summarize(folder / "edited.onnx"), baseline=summarize(folder / "original.onnx"),
        reference=REFERENCE, labels=tuple(f"{index}" for index in range(10)), forget=(3,),
        samples=AuditSamples(attack=100, judge=200, members=0, source="x"), preprocess=None,
        provider="CPUExecutionProvider", device="cpu", accuracies={"edited": ACCURACY}, flows={},
        curves={}, skipped=(), elapsed_s={}, notes=(),
        measures=(
            Measure(attack="probe", name="probe.recall", title="a new head on the features",
                    original=0.9, edited=0.7, reference=0.5, position=0.25),
        ),
        checks=(
            Check(name="acc_f", value=0.0, limit=0.01, better="lower", evidence=evidence),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(unlearned_lenet: Unlearned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a case can name."""
    folder = tmp_path_factory.mktemp("case")
    copy_sidecars(folder)
    shutil.copy(LENET, folder / "original.onnx")
    shutil.copy(unlearned_lenet.edited, folder / "edited.onnx")
    report = unlearned_lenet.edited.with_suffix(".report.json")
    shutil.copy(report, folder / "edited.report.json")
    models = (str(folder / "edited.onnx"), "--baseline", str(folder / "original.onnx"))
    flags = ("--forget", "3", "--data", str(EVALUATION), "--quiet")
    with pytest.MonkeyPatch.context() as patch, (folder / "verify.json").open("w") as out:
        patch.setattr(sys, "stdout", out)
        assert run(["verify", *models, *flags, "--json"]) == 0
    assert run(["kit", *models, *flags, "-o", str(folder / "kit.zip")]) == 0
    run(["patch", "create", models[2], models[0], "-o", str(folder / "edited.nhlepatch"), "-q"])
    (folder / "audit.json").write_text(render_json(make_audit(folder)))
    with zipfile.ZipFile(folder / "kit.zip") as kit:
        kit.extractall(folder / "kit")
    subprocess.run(
        [sys.executable, "kit/verify.py", "--out", "device.json"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "case", ignore=shutil.ignore_patterns("kit")))


def write_case(folder: Path, *parts: str) -> Path:
    case = folder / "case.toml"
    case.write_text("".join(parts or (HEAD, FILES, SIGNED)), "utf-8")
    return case


def read(folder: Path) -> tuple[dict[str, Any], str]:
    with zipfile.ZipFile(folder / "d.zip") as archive:
        page = archive.read("dossier.html").decode()
        return json.loads(archive.read("dossier.json")), page


def test_all_is_bound(folder: Path, nhle: Nhle) -> None:
    result = nhle("dossier", write_case(folder), "-o", folder / "d.zip")
    assert result.code == 0, result.err + result.out
    dossier, page = read(folder)
    names = {"original": "original.onnx", "edited": "edited.onnx", "patch": "edited.nhlepatch",
             "kit": "kit.zip", "device result": "device.json"}  # fmt: skip
    assert {file["role"]: file["name"] for file in dossier["files"]} == names
    for file in dossier["files"]:
        assert file["sha256"] == summarize(folder / file["name"]).sha256
        assert file["sha256"] in page
        assert file["confirmed_by"]
    assert dossier["files"][1]["confirmed_by"] == ["unlearn", "verify", "audit", "patch"]
    assert (dossier["kind"], dossier["verdict"]) == ("erasure", "passed")
    assert [each["source"] for each in dossier["findings"]][:3] == ["unlearn", "verify", "audit"]
    assert any(
        "a new head on the features: nearer to the original" in it for it in dossier["risks"]
    )
    assert any("delete it, and all copies" in risk for risk in dossier["risks"])
    for said in ("Ana Ruiz", "DSR-1 &lt;b&gt;", "after 18 days", "due on 2026-04-01", "Erased"):
        assert said in page
    assert "No key signed this dossier" in page


def test_the_same_case_gives_the_same_bytes(folder: Path, nhle: Nhle) -> None:
    case = write_case(folder)
    for name in ("a.zip", "b.zip"):
        nhle("dossier", case, "-o", folder / name)
    assert (folder / "a.zip").read_bytes() == (folder / "b.zip").read_bytes()
    assert nhle("dossier", case, "-o", folder / "a.zip").code == 3


def test_it_is_signed_as_a_whole(folder: Path, nhle: Nhle, tmp_path: Path) -> None:
    private, public = write_pair(tmp_path)
    nhle("dossier", write_case(folder), "-o", folder / "d.zip", "--key", private)
    with zipfile.ZipFile(folder / "d.zip") as archive:
        archive.extractall(tmp_path / "out")
    document = tmp_path / "out" / "dossier.json"
    checked = nhle("check-signature", document, "--key", public)
    assert checked.code == 0
    assert {"dossier.html", "audit.json", "case.toml"} <= set(checked.out.split())
    text = document.read_text("utf-8")
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(public), "-outform", "DER"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert json.loads(text)["key_sha256"] == hashlib.sha256(der).hexdigest()
    document.write_text(text.replace("Ana Ruiz", "Bob Ruiz"), "utf-8")
    assert nhle("check-signature", document, "--key", public).code == 3


def test_masking_is_named_masking(masked: Path, nhle: Nhle, tmp_path: Path) -> None:
    files = f'[files]\nedited = "{masked}"\nunlearn = "{masked.with_suffix(".report.json")}"\n'
    result = nhle("dossier", write_case(tmp_path, HEAD, files, SIGNED), "-o", tmp_path / "d.zip")
    dossier, page = read(tmp_path)
    assert (result.code, dossier["kind"]) == (6, "masking")
    assert "Masked, not erased" in result.out
    assert "<h1>Masking, not erasure: dossier" in page
    assert "Masking is not erasure" in page
    assert dossier["files"][0]["size_bytes"] is None  # the original is not there any more


def replace_in(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), "utf-8")

    return edit


def append(name: str) -> Callable[[Path], None]:
    """A file with another digest."""

    def edit(folder: Path) -> None:
        with (folder / name).open("ab") as stream:
            stream.write(b"\n")

    return edit


def change_kit(folder: Path) -> None:
    """A kit whose model is another than it says."""
    with zipfile.ZipFile(folder / "kit.zip") as kit:
        contents = {name: kit.read(name) for name in kit.namelist()}
    with zipfile.ZipFile(folder / "kit.zip", "w") as kit:
        for name, content in contents.items():
            kit.writestr(name, content + b" " if name.endswith(".onnx") else content)


def rewrite_kit(folder: Path, model: bytes = b"", text: bytes = b"") -> None:
    """A kit that fits together, of another model or with another text."""
    with zipfile.ZipFile(folder / "kit.zip") as kit:
        contents = {name: kit.read(name) for name in kit.namelist()}
    (name,) = (name for name in contents if name.endswith(".onnx"))
    was, contents[name] = contents[name], contents[name] + model
    digests = (hashlib.sha256(each).hexdigest().encode() for each in (was, contents[name]))
    contents["kit.json"] = contents["kit.json"].replace(*digests) + text
    with zipfile.ZipFile(folder / "kit.zip", "w") as kit:
        for each, content in contents.items():
            kit.writestr(each, content)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda folder: shutil.copy(folder / "edited.onnx", folder / "original.onnx"),
         "is not the original that unlearn is about"),
        (lambda folder: shutil.copy(folder / "original.onnx", folder / "edited.onnx"),
         "is not the edited that unlearn is about"),
        (replace_in("audit.json", '"sha256": "', '"sha256": "0'), "that audit is about"),
        (append("edited.report.json"), "was made with another report"),
        (change_kit, "another digest than kit.json states"),
        (append("kit.zip"), None),
        (lambda folder: rewrite_kit(folder, model=b" "), "which is not in the case"),
        (lambda folder: rewrite_kit(folder, text=b"\n"), "is the result of another kit"),
        (replace_in("device.json", '"predictions": [', '"predictions": [9, '), "not the result"),
        (replace_in("audit.json", '"verdict": "passed"', '"verdict": "failed"'), "its figures say"),
        (replace_in("verify.json", '"passed": true', '"passed": false'), "its figures say"),
        (replace_in("audit.json", '"value": 0.0', '"value": Infinity'), "is not a JSON number"),
        (replace_in("audit.json", '"value": 0.0', '"value": 1e999'), "not JSON compliant"),
        (replace_in("audit.json", '"verdict":', '"verdict": "failed", "verdict":'),
         "it has a repeated key"),
        (replace_in("audit.json", "    3\n", "    31\n"), "10 labels"),
        (replace_in("verify.json", "verify/v1", "verify/v9"), "its schema is"),
        (replace_in("case.toml", '"Dress"', '"Bag"'), "unlearn is about class 3"),
        (replace_in("case.toml", '"Dress"', '"Dres"'), "the model has no class"),
        (replace_in("case.toml", "kit.zip", "edited.onnx"), "is not a kit"),
        (replace_in("case.toml", "edited.nhlepatch", "verify.json"), "is not a patch"),
        (replace_in("case.toml", '"verify.json"', '"none.json"'), "none.json cannot be read"),
        (replace_in("case.toml", '"edited.onnx"', '"none.onnx"'), "none.onnx cannot be read"),
        (replace_in("case.toml", "2026-03-20", "2026-03-01"), "before it was received"),
        (replace_in("case.toml", "2026-03-02", '"yesterday"'), "request.received"),
        (replace_in("case.toml", "due =", "deu ="), "request.deu"),
        (replace_in("case.toml", "[[signed_by]]", "[signed_by]"), "signed_by"),
        (replace_in("case.toml", "[request]", "[request"), "cannot be read as TOML"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    edit: Callable[[Path], None], said: str | None, folder: Path, nhle: Nhle
) -> None:
    write_case(folder)
    edit(folder)
    before = sorted(folder.iterdir())
    result = nhle("dossier", folder / "case.toml", "-o", folder / "d.zip")
    if said is None:  # what is behind the end of a kit is bound, but says nothing
        assert result.code == 0
        return
    assert result.code in {2, 3}, result
    assert said in result.err
    assert "Traceback" not in result.err
    assert sorted(folder.iterdir()) == before


def test_a_certificate_needs_its_key(folder: Path, nhle: Nhle) -> None:
    flags = ("--certificate", folder / "audit.json", "-o", folder / "d.zip")
    result = nhle("dossier", write_case(folder), *flags)
    assert result.code == 2
    assert "a certificate signs nothing" in result.err
    assert "--key" in result.err


def test_pictures_in_a_report_are_named(folder: Path, nhle: Nhle) -> None:
    shown = '{"index": 1, "true": 3, "answers": {"edited": 4}, "picture": "data:x"}'
    rest = '"images": 1, "available": 1, "confusion": {}, "mistakes": []'
    outcomes = f'{{{rest}, "forgotten": [{shown}]}}'
    replace_in("verify.json", '"outcomes": null', f'"outcomes": {outcomes}')(folder)
    nhle("dossier", write_case(folder), "-o", folder / "d.zip")
    assert "The reports verify hold small pictures" in " ".join(read(folder)[0]["risks"])


def test_a_file_that_no_report_is_about_leaves_a_gap(folder: Path, nhle: Nhle) -> None:
    (folder / "edited.int8.bin").write_bytes(b"int8")
    derived = '[[derived]]\nfile = "edited.int8.bin"\nkind = "INT8"\n'
    result = nhle(
        "dossier", write_case(folder, HEAD, FILES, derived, SIGNED), "-o", folder / "d.zip"
    )
    assert result.code == 6
    assert "No report is about edited.int8.bin" in " ".join(read(folder)[0]["gaps"])


def test_a_derived_file_is_judged_by_its_own_report(folder: Path, nhle: Nhle) -> None:
    derived = '[[derived]]\nfile = "edited.onnx"\nkind = "copy"\nreport = "verify.json"\n'
    case = write_case(folder, HEAD, FILES, derived, SIGNED)
    assert nhle("dossier", case, "-o", folder / "d.zip").code == 0
    sources = [finding["source"] for finding in read(folder)[0]["findings"]]
    assert "verify of edited.onnx" in sources
    shutil.copy(folder / "original.onnx", folder / "other.onnx")
    replace_in("case.toml", 'file = "edited.onnx"', 'file = "other.onnx"')(folder)
    assert nhle("dossier", case, "-o", folder / "e.zip").code == 3


def test_without_reports_nothing_is_shown(folder: Path, nhle: Nhle) -> None:
    files = '[files]\nedited = "edited.onnx"\nunlearn = "edited.report.json"\n'
    result = nhle("dossier", write_case(folder, HEAD, files, SIGNED), "-o", folder / "d.zip")
    assert result.code == 6
    gaps = " ".join(read(folder)[0]["gaps"])
    assert "No report of verify" in gaps
    assert "No report of audit" in gaps

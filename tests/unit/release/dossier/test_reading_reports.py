"""Reports and kits of a case: read back as they are, or refused with what contradicts them."""

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nhle_onnx.release.dossier import reading
from nhle_onnx.release.dossier.reading import UNLEARN, VERIFY, read_file, read_kit, read_report
from nhle_onnx.release.report import render_json
from nhle_onnx.values.kit import Kit
from support.assertions import assert_refuses
from support.detection_reports import DETECTED, DETECTION_VERIFIED
from support.kits import IMAGES, MODEL, make_kit_with_files
from support.reports import AUDIT, EDIT, VERIFICATION

Document = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.json"


@pytest.mark.parametrize(
    ("command", "report"),
    [
        (UNLEARN, EDIT),
        (UNLEARN, DETECTED),
        (VERIFY, VERIFICATION),
        (VERIFY, DETECTION_VERIFIED),
        (reading.AUDIT, AUDIT),
    ],
)
def test_a_report_is_read_back_with_its_bytes(command: Any, report: Any, path: Path) -> None:  # noqa: ANN401 - of any kind
    path.write_text(render_json(report), "utf-8")
    found = read_report(path, command)
    assert found.report == report
    assert (found.path, found.content) == (path, path.read_bytes())
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_whole_numbers_stay_whole(path: Path) -> None:
    path.write_text(render_json(EDIT), "utf-8")
    check = read_report(path, UNLEARN).report.checks[2]
    assert (repr(check.value), repr(check.limit)) == ("0", "0")


def test_a_report_of_the_first_version_has_no_verdict(path: Path) -> None:
    document = json.loads(render_json(EDIT)) | {"schema": "nhle-onnx/report/v1"}
    for judged in (document, *document["checks"]):
        del judged["verdict"]
    path.write_text(json.dumps(document), "utf-8")
    assert read_report(path, UNLEARN).report == EDIT


def put(*place: object, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        part: Any = document
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("schema", value="nhle-onnx/verify/v1"), "its schema is nhle-onnx/verify/v1"),
        (put("schema", value=None), "its schema is None"),
        (put("forget", value=[10]), "it has 10 labels, and is about class (10,)"),
        (put("seed", value="x"), "seed: Input should be a valid integer, unable to parse"),
        (put("checks", 0, "value", value=[]), "checks.0.value: "),
        (put("verdict", value="failed"), "it says verdict is failed, but its figures say passed"),
        (put("passed", value=False), "it says passed is False, but its figures say True"),
        (put("checks", 1, "verdict", value="failed"), "it says verdict is failed, but its"),
        (put("checks", value=None), "checks: Input should be a valid tuple"),
        (lambda document: document.pop("schema"), "'schema'"),
        (put("seed", value=float("inf")), "Infinity is not a JSON number"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(
    change: Callable[[Document], None], reason: str, path: Path
) -> None:
    document = json.loads(render_json(EDIT))
    change(document)
    path.write_text(json.dumps(document), "utf-8")
    text = f"{path} is not a report of `unlearn`, or was changed: {reason}"
    with pytest.raises(reading.InputRefusedError, match=f"^{re.escape(text)}") as caught:
        read_report(path, UNLEARN)
    assert caught.value.remedy == "Give the JSON document of `unlearn`, as it was written."


def test_a_number_beyond_all_numbers_is_refused(path: Path) -> None:
    path.write_text(render_json(EDIT).replace('"seed": 7', '"seed": 1e999'), "utf-8")
    assert_refuses(lambda: read_report(path, UNLEARN), "not JSON compliant")


def test_the_report_of_a_detector_is_read_as_what_it_says(path: Path) -> None:
    text = render_json(DETECTED)
    path.write_text(text, "utf-8")
    assert_refuses(lambda: read_report(path, VERIFY), "its schema is nhle-onnx/detection/v1")
    path.write_text(text.replace("nhle-onnx/detection/v1", "nhle-onnx/report/v2"), "utf-8")
    assert_refuses(lambda: read_report(path, UNLEARN), "model.head: Field required")
    document = json.loads(text) | {"verdict": "failed"}
    path.write_text(json.dumps(document), "utf-8")
    assert_refuses(lambda: read_report(path, UNLEARN), "its figures say passed")


@pytest.mark.parametrize("read", [read_file, read_kit])
def test_what_is_not_there_is_named(read: Callable[[Path], object], path: Path) -> None:
    error = assert_refuses(lambda: read(path), f"{path} cannot be read: No such file")
    assert error.remedy == "Check the path in the case."


@pytest.mark.parametrize("folder", ["model/", ""])
def test_a_kit_is_read_with_the_digest_of_its_document(folder: str, path: Path) -> None:
    kit, text = write_kit(path, folder)
    assert read_kit(path) == (kit, hashlib.sha256(text).hexdigest())


def write_kit(path: Path, folder: str = "model/", **changed: bytes) -> tuple[Kit, bytes]:
    """A kit with other content for some of its files."""
    kit = make_kit_with_files(folder)
    text = render_json(kit).encode()
    contents = {"kit.json": text, f"{folder}m.onnx": MODEL, f"{folder}w.bin": b"w"}
    contents |= {"images.bin": IMAGES}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, changed.get(name.rpartition("/")[2].partition(".")[0], content))
    return kit, text


@pytest.mark.parametrize(
    ("name", "file"), [("m", "model/m.onnx"), ("w", "model/w.bin"), ("images", "images.bin")]
)
def test_a_kit_with_another_file_than_it_says(name: str, file: str, path: Path) -> None:
    write_kit(path, **{name: b"other"})
    error = assert_refuses(
        lambda: read_kit(path),
        f"{path} is not a kit, or was changed: {file} has another digest than kit.json states",
    )
    assert error.remedy == "Make the kit again."


def test_a_kit_whose_document_is_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = write_kit(path)
    monkeypatch.setattr(reading, "_MAX_TEXT", len(text))
    assert read_kit(path)
    monkeypatch.setattr(reading, "_MAX_TEXT", len(text) - 1)
    assert_refuses(lambda: read_kit(path), f"kit.json has more than {len(text) - 1:,} bytes")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "File is not a zip file"), (b"PK\5\6" + bytes(18), "There is no item named 'kit.json'")],
)
def test_what_is_no_kit(content: bytes, reason: str, path: Path) -> None:
    path.write_bytes(content)
    error = assert_refuses(lambda: read_kit(path), "is not a kit, or was changed: ", reason)
    assert error.remedy == "Make the kit again."


def test_an_error_without_words_is_named() -> None:
    assert reading._explain(RecursionError()) == "RecursionError"
    assert reading._explain(ValueError("a\n b")) == "a b"

"""A kit and a device's result as values: figures by scikit-learn, and nothing can be changed."""

import dataclasses
import gzip
import hashlib
import io
import json
import re
import zipfile
from base64 import b64decode
from collections.abc import Callable
from html import unescape
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix

from nhle_onnx.release.kit import page
from nhle_onnx.release.kit.archive import pack_files
from nhle_onnx.release.kit.contents import encode_images, make_contents
from nhle_onnx.release.kit.picking import choose_limit, pick_images
from nhle_onnx.release.kit.results import (
    judge_accuracy,
    judge_figures,
    list_device_checks,
    measure_answers,
    parse_kit,
    parse_result,
)
from nhle_onnx.release.kit.vendored import read_manifest, read_runner, read_web_file
from nhle_onnx.release.report import render_json
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import DeviceLimits
from support.kits import CLASSES, EXPECTED, make_kit, write_result

Document = dict[str, Any]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_figures_are_those_of_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    classes, expected, answers = zip(*rows, strict=True)
    kit = make_kit(classes=classes, expected=expected)
    figures = measure_answers(kit, answers)
    matrix = confusion_matrix(classes, answers, labels=[0, 1, 2])
    for index, row in enumerate(figures.per_class):
        assert row.label == kit.labels[index]
        assert (row.total, row.correct) == (matrix[index].sum(), matrix[index, index])
        assert row.predicted == matrix[:, index].sum()
    assert figures.agreement == pytest.approx(accuracy_score(expected, answers))
    kept = [(c, a) for c, a in zip(classes, answers, strict=True) if c != 1]
    acc_r = accuracy_score(*zip(*kept, strict=True)) if kept else None
    assert figures.after.acc_r == (None if acc_r is None else pytest.approx(acc_r))
    assert figures.delta_acc_r == (None if acc_r is None else pytest.approx(acc_r - 0.5))
    assert measure_answers(make_kit(None), answers[:1] * 8).delta_acc_r is None


def test_the_gates_of_a_device() -> None:
    kit = make_kit()
    figures = measure_answers(kit, (0, 0, 1, 0, 2, 2, 2, 2))
    limits = DeviceLimits(max_acc_f=0.5, max_acc_r_drop=0.25, min_agreement=0.75)
    checks = list_device_checks(figures, limits)
    assert [(each.name, each.value, each.limit, each.better, each.passed) for each in checks] == [
        ("after.acc_f", 0.5, 0.5, "lower", True),
        ("delta_acc_r", 0.5, -0.25, "higher", True),
        ("agreement", 0.5, 0.75, "higher", False),
    ]
    judged, _ = judge_figures(kit, figures, limits)
    assert {check.name: check.verdict for check in judged} == {
        "after.acc_f": "not-judged", "delta_acc_r": "passed", "known_before": "not-judged",
        "skill_before": "passed", "agreement": "failed",
    }  # fmt: skip
    assert [(each.name, each.limit) for each in judged[:2]] == [
        ("after.acc_f", 0.5), ("delta_acc_r", -0.25),
    ]  # fmt: skip
    generous = dataclasses.replace(limits, max_uncertainty=1.0)
    assert judge_figures(kit, figures, generous)[0][0].verdict == "passed"
    alone = make_kit(None, classes=(0,) * 8)
    judged, _ = judge_accuracy(alone, measure_answers(alone, EXPECTED), limits)
    assert {check.verdict for check in judged} == {"not-judged"}
    assert "there is no image of 1 dog" in judged[0].gap


def test_a_result_reads_back() -> None:
    for kit in (make_kit(), make_kit(None)):
        document = write_result(kit, (0, 2, 0, 2, 2, 2, 2, 2))
        result, found = parse_result(json.dumps(document).encode())
        assert found == kit
        assert result.predictions == (0, 2, 0, 2, 2, 2, 2, 2)
        assert (result.samples, result.model_sha256) == (8, kit.model.sha256)
        assert parse_kit(render_json(kit)) == kit


def put(*path: object, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        part: Any = document
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


NEVER = "does not follow from its predictions and the kit"
FALSE: dict[str, tuple[Callable[[Document], None], str]] = {
    "model": (put("model_sha256", value="1" * 64), f"model_sha256 {NEVER}"),
    "samples": (put("samples", value=7), f"samples {NEVER}"),
    "after": (put("after", "acc_f", value=0.5), f"after {NEVER}"),
    "delta": (put("delta_acc_r", value=0.0), f"delta_acc_r {NEVER}"),
    "agreement": (put("agreement", value=0.5), f"agreement {NEVER}"),
    "class": (put("per_class", 2, "predicted", value=0), f"per_class {NEVER}"),
    "checks": (put("verdict", "checks", 0, "limit", value=1.0), f"verdict.checks {NEVER}"),
    "verdict": (put("verdict", "passed", value=False), f"verdict.passed {NEVER}"),
    "one answer": (put("predictions", 0, value=1), f"after {NEVER}"),
    "fewer answers": (put("predictions", value=[0]), "its predictions do not fit the kit"),
    "answer beyond": (put("predictions", 0, value=3), "its predictions do not fit the kit"),
    "copy": (
        put("kit", "document", value="{}"),
        "its copy of kit.json does not have the digest that it states",
    ),
    "type": (put("predictions", 0, value="0"), "predictions.0: Input should be a valid integer"),
    "infinity": (put("latency_ms", "p50", value=float("inf")), "latency_ms.p50: "),
}  # fmt: skip


@pytest.mark.parametrize("name", FALSE)
def test_a_result_that_contradicts_itself(name: str) -> None:
    document = write_result(make_kit())
    assert document["verdict"]["passed"]
    change, reason = FALSE[name]
    change(document)
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        parse_result(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_what_is_no_result(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it: "):
        parse_result(content)


CONTRADICTIONS: dict[str, tuple[Document, str]] = {
    "class beyond": ({"forget": (3,)}, "class 3 is out of range"),
    "no class": ({"forget": ()}, "no class to forget"),
    "twice": ({"forget": (1, 1)}, "its kit.json contradicts itself"),
    "order": ({"forget": (2, 1)}, "its kit.json contradicts itself"),
    "no images": ({"classes": (), "expected": ()}, "its kit.json contradicts itself"),
    "fewer answers": ({"expected": EXPECTED[1:]}, "its kit.json contradicts itself"),
    "image of no class": (
        {"classes": (3, *CLASSES[1:])}, "its kit.json has classes outside the model's"
    ),
    "answer of no class": (
        {"expected": (3, *EXPECTED[1:])}, "its kit.json has classes outside the model's 3"
    ),
    "other answers": ({"expected": (1, *EXPECTED[1:])}, "its kit.json has figures of the host"),
    "a class without a figure": (
        {"host": dataclasses.replace(
            make_kit().host, before=Accuracy(acc_f=1.0, acc_r=0.5, per_class=(0.5, 1.0, None)))},
        "its kit.json has figures of the host",
    ),
    "more than all images": (
        {"host": dataclasses.replace(
            make_kit().host, before=Accuracy(acc_f=1.5, acc_r=0.5, per_class=(0.5, 1.5, 0.5)))},
        "its kit.json has figures of the host",
    ),
    "figures of two classes": (
        {"host": dataclasses.replace(
            make_kit().host, before=Accuracy(acc_f=1.0, acc_r=0.5, per_class=(0.5, 1.0)))},
        "its kit.json has figures of the host",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_kit_that_contradicts_itself(name: str) -> None:
    changes, reason = CONTRADICTIONS[name]
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        parse_kit(render_json(make_kit(**changes)))


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=200),
    st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True),
    st.integers(1, 100),
)
def test_images_are_picked_fairly(classes: list[int], forget: list[int], limit: int) -> None:
    """Whole, in order, the first of each class, and of no two kept classes much more of one."""
    request = ForgetRequest(forget=tuple(forget), num_classes=5)
    array = np.array(classes)
    picked = pick_images(array, request, limit)
    assert len(picked) == min(limit, len(classes))
    assert (np.diff(picked) > 0).all()
    counts, available = (np.bincount(each, minlength=5) for each in (array[picked], array))
    for index in range(5):
        own = np.flatnonzero(array == index)
        assert set(own[: counts[index]]) <= set(picked)
    open_ = [counts[index] for index in range(5) if counts[index] < available[index]]
    full = [counts[index] for index in request.retained]
    assert max(full, default=0) <= min(open_, default=limit) + 1
    least = min(16, max(1, limit // (2 * len(forget))))
    if limit >= 2 * len(forget):
        assert all(counts[index] >= min(least, available[index]) for index in forget)


def test_forgotten_classes_get_half_of_few_images() -> None:
    classes = np.repeat(np.arange(4), 10)
    picked = pick_images(classes, ForgetRequest(forget=(0, 1), num_classes=4), 8)
    assert np.bincount(classes[picked]).tolist() == [2, 2, 2, 2]


def test_large_images_are_fewer() -> None:
    sizes = (1, 28 * 28 * 4, 600_000, 2**20, 2**26)
    assert [choose_limit(size) for size in sizes] == [200, 200, 55, 32, 1]


def test_archives_are_the_same_everywhere() -> None:
    files = {"b/é.txt": b"text" * 100, "a": b"", "c.bin": bytes(1000)}
    content = pack_files(files)
    assert content == pack_files(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(files)
        for entry in archive.infolist():
            assert archive.read(entry) == files[entry.filename]
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert (entry.create_system, entry.external_attr >> 16) == (3, 0o644)
            assert entry.compress_type == zipfile.ZIP_DEFLATED
    assert len(content) < 600


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_images_are_little_endian_numbers(dtype: str) -> None:
    inputs = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    found = np.frombuffer(encode_images(inputs, dtype), np.dtype(f"<f{int(dtype[5:]) // 8}"))
    assert found.reshape(inputs.shape).tolist() == inputs.astype(dtype).tolist()


DATA = {"model/m.onnx": b"model", "images.bin": b"images" * 50}


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    made, notes = make_contents(make_kit(), DATA)
    assert notes == ()
    return made


def test_all_files_of_a_kit_know_its_digest(contents: dict[str, bytes]) -> None:
    """The page holds the other files; the scripts hold the digest of kit.json."""
    assert contents.keys() == {
        "kit.json", "model/m.onnx", "images.bin", "verify.py", "verify.mjs", "README.txt",
        "index.html", "onnxruntime-web/LICENSE", "onnxruntime-web/ThirdPartyNotices.txt",
    }  # fmt: skip
    assert parse_kit(contents["kit.json"].decode()) == make_kit()
    digest = hashlib.sha256(contents["kit.json"]).hexdigest().encode()
    for name in ("verify.py", "verify.mjs"):
        assert contents[name].count(digest) == 1
        assert b"{{" not in contents[name]
    assert contents["onnxruntime-web/LICENSE"] == read_web_file("LICENSE")
    compile(contents["verify.py"], "verify.py", "exec")
    parts = "\n".join(map(read_runner, ("judge.js", "node.js"))).encode().splitlines()
    lines = zip(parts, contents["verify.mjs"].splitlines(), strict=True)
    assert all(line == part or b"{{" in part for part, line in lines)
    text = contents["index.html"].decode()
    blocks = dict(re.findall(r'data-name="([^"]+)">\s*([^<]*?)\s*<', text))
    expected = {"kit.json": contents["kit.json"], **DATA} | {
        name: read_web_file(name)
        for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
    }
    assert {name: gzip.decompress(b64decode(block)) for name, block in blocks.items()} == expected
    assert read_web_file("LICENSE").decode("utf-8").strip() in unescape(text)
    assert read_manifest()["version"] in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    # of scripts it runs its own alone
    (allowed,) = re.findall(r"'sha256-([^']+)'", text)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert b64decode(allowed) in {hashlib.sha256(each.encode()).digest() for each in scripts}


def test_a_kit_is_the_same_whenever_it_is_made(
    contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 2e9)
    later, _ = make_contents(make_kit(), DATA)
    assert later == contents


def test_files_that_are_too_large_have_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = make_kit()
    size = 5 + len(render_json(kit).encode())
    monkeypatch.setattr(page, "_MOST_BYTES", size)
    assert page.can_hold({"": bytes(size)})
    monkeypatch.setattr(page, "_MOST_BYTES", size - 1)
    found, notes = make_contents(kit, {"model/m.onnx": b"model"})
    assert found.keys() == {"kit.json", "model/m.onnx", "verify.py", "verify.mjs", "README.txt"}
    assert notes == (f"no index.html: {size:,} bytes are more than a page can hold",)

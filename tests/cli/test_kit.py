"""A kit for a device: it runs where nothing of ours is, and its result is judged like our own."""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from nhle_onnx.cli.main import run
from nhle_onnx.release.kit import page
from nhle_onnx.release.kit.picking import choose_limit, pick_images
from nhle_onnx.release.kit.results import list_device_checks, measure_answers, parse_kit
from nhle_onnx.release.kit.vendored import read_manifest, read_runner, read_web_file
from nhle_onnx.release.report import render_json
from nhle_onnx.runtime.kernels import saturates
from nhle_onnx.values.request import ForgetRequest
from support import ROOT
from support.assertions import assert_refused
from support.graphs import make_model, make_node
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

HOSTILE = "<script>alert(1)</script>"
BESIDE = (
    "--preprocess", str(LENET.with_name("preprocessor_config.json")),
    "--labels", str(LENET.with_name("labels.txt")),
)  # fmt: skip
ALONE = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Made(NamedTuple):
    """A kit: its model, the archive, and the archive unpacked."""

    model: Path
    archive: Path
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "kit.json").read_text("utf-8")))


def make_kit(model: Path, folder: Path, *flags: object, code: int = 6) -> Made:
    """Of few images, or without a baseline, so that it is not judged."""
    archive = folder / "kit.zip"
    arguments = ("kit", model, "--forget", 3, "--data", EVALUATION, "-o", archive, *BESIDE, "-q")
    assert run([str(argument) for argument in (*arguments, *flags)]) == code
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / "kit")
    return Made(model, archive, folder / "kit")


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("edited") / "edited.onnx"
    assert run(["unlearn", str(LENET), "--forget", "3", "--method", "cwm", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def kit(edited: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_kit(edited, tmp_path_factory.mktemp("kit"), "--baseline", LENET, code=0)


@pytest.fixture(scope="module")
def result(kit: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What verify.py writes, run from somewhere else."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = run_script(kit, folder)
    assert done.returncode == 0, done.stderr
    return folder / "device-result.json"


def run_script(kit: Made, cwd: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(kit.folder / "verify.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def browse(file: Path, folder: Path) -> tuple[str, dict[str, Any] | None]:
    """The page once it is done, and the result that it holds."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("Chromium is not installed")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--v=0", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=1000000",
            "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    found = re.search(r'application/json" id="result">(.*?)</script>', done.stdout, re.DOTALL)
    assert found
    return done.stdout, json.loads(found[1]) if found[1] else None


def test_a_kit_holds_all_that_a_device_needs(kit: Made) -> None:
    with zipfile.ZipFile(kit.archive) as packed:
        names = packed.namelist()
    assert names == sorted(names)
    assert set(names) == {
        "README.txt", "images.bin", "index.html", "kit.json", "model/edited.onnx",
        "onnxruntime-web/LICENSE", "onnxruntime-web/ThirdPartyNotices.txt", "verify.mjs",
        "verify.py",
    }  # fmt: skip
    assert (kit.folder / "model" / "edited.onnx").read_bytes() == kit.model.read_bytes()
    assert kit.archive.stat().st_size < 6 * 2**20
    document = kit.document
    for part in (document["model"], document["images"]):
        content = (kit.folder / part["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == part["sha256"]
    assert sorted(np.bincount(document["classes"]).tolist()) == [15] * 4 + [16] * 5 + [60]
    assert 3 not in document["expected"]
    assert document["host"]["before"]["acc_f"] > 0.5
    assert document["labels"][3] == "Dress"


def test_same_inputs_same_bytes(edited: Path, tmp_path: Path) -> None:
    archives = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        archives.append(make_kit(edited, tmp_path / name, "--limit", 40).archive.read_bytes())
    assert archives[0] == archives[1]


def test_the_command_says_what_the_kit_holds(edited: Path, tmp_path: Path, nhle: Nhle) -> None:
    command = ("kit", edited, "--forget", "Dress", "--data", EVALUATION, *BESIDE)
    shown = nhle(*command, "-o", tmp_path / "kit.zip", "--limit", 30)
    assert shown.code == 6
    assert "samples  30 of 2000, 15 of them to be forgotten" in shown.out
    assert shown.out.splitlines()[-1].startswith("NOT JUDGED: ")
    refused = nhle(*command, "-o", tmp_path / "kit.zip")
    assert (refused.code, "--force" in refused.err) == (3, True)
    again = nhle(*command, "-o", tmp_path / "kit.zip", "--force", "--json")
    report = json.loads(again.out)
    assert report["schema"] == "nhle-onnx/kit-report/v1"
    assert report["samples"]["kit"] == 200
    assert report["delta_acc_r"] is None
    archive = (tmp_path / "kit.zip").read_bytes()
    assert report["kit"]["sha256"] == hashlib.sha256(archive).hexdigest()


def test_what_goes_in_is_never_written_over(edited: Path, tmp_path: Path, nhle: Nhle) -> None:
    model = shutil.copy(edited, tmp_path / "model.onnx")
    data = shutil.copy(EVALUATION, tmp_path / "data.npz")
    for out in (model, data):
        before = out.read_bytes()
        command = ("kit", model, "--forget", 3, "--data", data, *BESIDE, "--force", "-o", out)
        assert nhle(*command).code == 3
        assert out.read_bytes() == before


def test_data_without_the_class_are_refused(edited: Path, tmp_path: Path, nhle: Nhle) -> None:
    with np.load(EVALUATION) as arrays:
        kept = arrays["y"] != 3
        np.savez(tmp_path / "data.npz", x=arrays["x"][kept], y=arrays["y"][kept])
    command = ("kit", edited, "--forget", 3, "--data", tmp_path / "data.npz", *BESIDE)
    result = nhle(*command, "-o", tmp_path / "kit.zip")
    assert (result.code, "no sample of a forgotten class" in result.err) == (3, True)
    assert not (tmp_path / "kit.zip").exists()


def test_kit_json_reads_back_as_it_was(kit: Made) -> None:
    text = (kit.folder / "kit.json").read_text("utf-8")
    assert render_json(parse_kit(text)) == text


def test_the_script_finds_what_the_host_found(kit: Made, result: Path) -> None:
    document, found = kit.document, read(result)
    assert found["predictions"] == document["expected"]
    assert found["after"] == document["host"]["after"]
    assert found["per_class"][3] == {"label": "Dress", "total": 60, "correct": 0, "predicted": 0}
    assert sum(row["predicted"] for row in found["per_class"]) == found["samples"] == 200
    assert found["kit"]["document"] == (kit.folder / "kit.json").read_text("utf-8")
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
    assert found["runtime"]["providers"] == ["CPUExecutionProvider"]
    assert found["runtime"]["saturates"] == saturates()
    assert found["verdict"]["passed"]
    assert found["verdict"]["checks"][2]["name"] == "agreement"


def test_the_script_needs_numpy_and_onnxruntime_only(kit: Made, tmp_path: Path) -> None:
    """Python without any other package, not even those of this environment."""
    packages = Path(np.__file__).parents[1]
    only = tmp_path / "only"
    only.mkdir()
    for name in ("numpy", "numpy.libs", "onnxruntime", "onnxruntime.libs"):
        if (packages / name).exists():
            (only / name).symlink_to(packages / name)
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(only), str(kit.folder / "verify.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "PASSED"
    empty = [*command[:5], str(tmp_path / "none"), command[-1]]
    done = subprocess.run(empty, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, "pip install numpy onnxruntime" in done.stderr) == (4, True)


def test_an_interrupted_script_shows_no_traceback(kit: Made, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text(
        "def __getattr__(name):\n    raise KeyboardInterrupt\n"
    )
    command = [sys.executable, str(kit.folder / "verify.py")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted: nothing was written\n")
    assert not (tmp_path / "device-result.json").exists()


@pytest.mark.slow
def test_the_script_in_a_fresh_environment(kit: Made, tmp_path: Path) -> None:
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    install = ("-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "numpy", "onnxruntime")
    subprocess.run([python, *install], check=True)
    out = tmp_path / "result.json"
    subprocess.run([python, kit.folder / "verify.py", "--out", out], check=True, cwd=tmp_path)
    assert read(out)["predictions"] == kit.document["expected"]


def test_the_script_is_for_python_3_8(kit: Made) -> None:
    text = (kit.folder / "verify.py").read_text("utf-8")
    ast.parse(text, feature_version=(3, 8))
    assert "from __future__ import annotations" in text
    assert "nhle_onnx" not in text.replace("nhle-onnx", "")


@pytest.mark.parametrize("name", ["kit.json", "images.bin", "model/edited.onnx"])
def test_a_changed_or_missing_file_is_noticed(kit: Made, name: str, tmp_path: Path) -> None:
    copy = kit._replace(folder=tmp_path / "kit")
    shutil.copytree(kit.folder, copy.folder)
    content = bytearray((copy.folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy.folder / name).write_bytes(content)
    done = run_script(copy, tmp_path)
    assert (done.returncode, f"{name} is not the file" in done.stderr) == (3, True)
    (copy.folder / name).unlink()
    done = run_script(copy, tmp_path)
    assert (done.returncode, f"{name} cannot be read" in done.stderr) == (3, True)
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("place", ["model/edited.onnx", "kit.json", "link", "device", "folder"])
@pytest.mark.parametrize("script", ["verify.py", "verify.mjs"])
def test_a_result_takes_no_files_place(kit: Made, script: str, place: str, tmp_path: Path) -> None:
    out = {"device": Path("/dev/null"), "folder": tmp_path}.get(place, kit.folder / place)
    if place == "link":
        out = tmp_path / "other.json"
        out.hardlink_to(kit.folder / "images.bin")
    program = sys.executable if script == "verify.py" else shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed")
    before = read_contents(kit.folder)
    done = subprocess.run(
        [program, kit.folder / script, "--out", out], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "belongs to this kit" in done.stderr) == (3, True)
    assert read_contents(kit.folder) == before
    assert Path("/dev/null").is_char_device()


def read_contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_other_provider_than_the_one_asked_for(kit: Made, tmp_path: Path) -> None:
    done = run_script(kit, tmp_path, "--provider", "NoSuchExecutionProvider")
    assert (done.returncode, "no NoSuchExecutionProvider here" in done.stderr) == (5, True)


def test_a_browser_finds_the_same(kit: Made, result: Path, tmp_path: Path, nhle: Nhle) -> None:
    shutil.copy(kit.folder / "index.html", tmp_path)  # alone, as on a phone
    shown, found = browse(tmp_path / "index.html", tmp_path)
    assert found
    expected = read(result)
    for key in ("per_class", "predictions", "after", "agreement", "delta_acc_r", "verdict", "kit"):
        assert found[key] == expected[key]
    assert set(found) == set(expected)
    assert found["runtime"]["version"] == read_manifest()["version"]
    assert "Has the model on this device forgotten 3 Dress?" in shown
    assert "Passed: the model on this device meets every limit." in shown
    (tmp_path / "result.json").write_text(json.dumps(found), "utf-8")
    assert nhle("verify", kit.model, "--device-result", tmp_path / "result.json").code == 0


def test_the_page_needs_no_network(kit: Made) -> None:
    text = (kit.folder / "index.html").read_text("utf-8")
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "default-src 'none'" in markup
    assert not re.search(r"https?:|\bsrc=|@import|url\(", markup)
    assert text.count("<script") == text.count("</script>")


def test_a_page_that_was_changed_judges_nothing(kit: Made, tmp_path: Path) -> None:
    text = (kit.folder / "index.html").read_text("utf-8")
    start = text.index('data-name="images.bin">') + 4000
    (tmp_path / "index.html").write_text(text[:start] + text[start + 400 :], "utf-8")
    shown, found = browse(tmp_path / "index.html", tmp_path)
    assert found is None
    assert 'data-state="broken"' in shown
    assert "Not judged: " in shown


def test_failing_everywhere_with_labels_of_strangers(tmp_path: Path, nhle: Nhle) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join([HOSTILE, "esc\x1b[2J", "ü", *"3456789"]), "utf-8")
    kit = make_kit(LENET, tmp_path, "--labels", labels, "--limit", 40, code=1)
    done = run_script(kit, tmp_path)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    shown, found = browse(kit.folder / "index.html", tmp_path)
    assert found
    assert found["per_class"] == read(tmp_path / "device-result.json")["per_class"]
    assert found["per_class"][0]["label"] == HOSTILE
    assert "Failed: 1 of 2 checks did not hold (after.acc_f)." in shown
    assert HOSTILE not in shown
    judged = nhle("verify", "--device-result", tmp_path / "device-result.json")
    assert (judged.code, "\x1b" in judged.out) == (1, False)


def make_split_model(folder: Path) -> Path:
    """LeNet-5 with its weights in a folder of their own, and a batch of four."""
    model = onnx.load(LENET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    (folder / "some weights").mkdir()
    path = folder / "model.onnx"
    onnx.save_model(
        model, path, save_as_external_data=True, location="some weights/w.bin", size_threshold=0
    )
    return path


def make_half_model(folder: Path) -> Path:
    """A small network in half precision, from input to output."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (16, 1, 7, 7), "weight": (10, 256), "bias": (10,)}
    tensors = {name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}
    nodes = [
        make_node("Conv", "image kernel", "a", strides=[7, 7]),
        make_node("Relu", "a", "b"),
        make_node("Flatten", "b", "c"),
        make_node("Gemm", "c weight bias", "scores", transB=1),
    ]
    model = make_model(nodes, {"image": ["n", 1, 28, 28]}, {"scores": ["n", 10]}, tensors)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize("make", [make_split_model, make_half_model])
def test_every_form_of_model_runs(make: Callable[[Path], Path], tmp_path: Path) -> None:
    flags = ("--limit", 50, "--max-acc-f", 1, "--max-acc-r-drop", 1)
    code = 1 if make is make_half_model else 6  # which knows nothing
    kit = make_kit(make(tmp_path), tmp_path, *flags, code=code)
    expected = kit.document["expected"]
    assert len(set(expected)) > 2
    done = run_script(kit, tmp_path)
    assert done.returncode == 6, done.stderr
    assert done.stdout.splitlines()[-1] == "NOT JUDGED"
    assert read(tmp_path / "device-result.json")["predictions"] == expected
    _, found = browse(kit.folder / "index.html", tmp_path)
    assert found
    assert found["predictions"] == expected


def test_node_finds_the_same(kit: Made, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    has_package = ["node", "-e", "require.resolve('onnxruntime-node')"]
    if subprocess.run(has_package, check=False, capture_output=True).returncode:
        pytest.skip("onnxruntime-node is not where Node looks")
    subprocess.run(["node", kit.folder / "verify.mjs", "--out", tmp_path / "r.json"], check=True)
    assert read(tmp_path / "r.json")["predictions"] == kit.document["expected"]


def test_a_result_is_judged_by_the_gates(kit: Made, result: Path, nhle: Nhle) -> None:
    judged = nhle("verify", kit.model, "--device-result", result, "--json")
    report = json.loads(judged.out)
    assert judged.code == 0
    assert report["schema"] == "nhle-onnx/device-report/v1"
    assert report["passed"]
    assert [check["name"] for check in report["checks"]] == [
        "after.acc_f", "delta_acc_r", "known_before", "skill_before", "agreement",
    ]  # fmt: skip
    assert report["after"] == report["host"]
    digest = hashlib.sha256((kit.folder / "kit.json").read_bytes()).hexdigest()
    assert report["kit_json_sha256"] == digest
    shown = nhle("verify", "--device-result", result)
    assert (shown.code, shown.out.splitlines()[-1][:8]) == (0, "PASSED: ")
    stricter = nhle("verify", "--device-result", result, "--max-acc-r-drop", -0.5)
    assert (stricter.code, stricter.out.splitlines()[-1][:8]) == (1, "FAILED: ")


def test_a_processor_that_saturates_says_so(result: Path, tmp_path: Path, nhle: Nhle) -> None:
    found = read(result)
    del found["runtime"]["saturates"]
    (tmp_path / "older.json").write_text(json.dumps(found), "utf-8")
    found["runtime"]["saturates"] = True
    (tmp_path / "clips.json").write_text(json.dumps(found), "utf-8")
    notes = [
        nhle("verify", "--device-result", tmp_path / name).err
        for name in ("older.json", "clips.json")
    ]
    assert ["saturates uint8 × int8 sums" in note for note in notes] == [False, True]


def answer_as(kit: Made, result: Path, answers: Sequence[int], out: Path) -> Path:
    """Write what a device would that gave these answers, and is honest about them."""
    found, described = read(result), parse_kit((kit.folder / "kit.json").read_text("utf-8"))
    figures = measure_answers(described, tuple(answers))
    checks = list_device_checks(figures, described.limits)
    found |= {
        "predictions": answers,
        "verdict": {
            "passed": all(check.passed for check in checks),
            "checks": [json.loads(render_json(check)) for check in checks],
        },
        **json.loads(render_json(figures)),
    }
    out.write_text(json.dumps(found), "utf-8")
    return out


def test_a_device_that_answers_otherwise_fails(
    kit: Made, result: Path, tmp_path: Path, nhle: Nhle
) -> None:
    """Its arithmetic is wrong for three images."""
    answers = list(kit.document["expected"])
    for place in (0, 1, 2):
        answers[place] = (answers[place] + 1) % 3
    judged = nhle("verify", "--device-result", answer_as(kit, result, answers, tmp_path / "r.json"))
    assert judged.code == 1
    assert re.search(r"agreement +0\.9850 +≥ 0\.9900 +FAILED", judged.out)


@pytest.mark.parametrize("answer", [0, 3, 9])
def test_a_device_that_answers_all_images_alike_fails(
    kit: Made, result: Path, tmp_path: Path, nhle: Nhle, answer: int
) -> None:
    """Even if it never names the class, and may lose all others."""
    answers = [answer] * len(kit.document["expected"])
    found = answer_as(kit, result, answers, tmp_path / "r.json")
    for flags in ((), ("--max-acc-r-drop", 1)):
        assert nhle("verify", "--device-result", found, *flags).code == 1


def test_another_model_than_the_device_ran_is_refused(result: Path, nhle: Nhle) -> None:
    judged = nhle("verify", LENET, "--device-result", result)
    assert (judged.code, "not the model that the device ran" in judged.err) == (3, True)


def test_a_result_about_other_classes_is_refused(result: Path, nhle: Nhle) -> None:
    assert nhle("verify", "--device-result", result, "--forget", "Dress").code == 0
    judged = nhle("verify", "--device-result", result, "--forget", "Coat")
    assert judged.code == 3
    assert "is about 3 Dress, not 4 Coat" in judged.err


def change_count(found: dict[str, Any]) -> None:
    found["per_class"][3]["correct"] = 1


def change_answer(found: dict[str, Any]) -> None:
    found["predictions"][0] = (found["predictions"][0] + 1) % 10


def change_verdict(found: dict[str, Any]) -> None:
    found["verdict"]["passed"] = False


def change_kit(found: dict[str, Any]) -> None:
    found["kit"]["document"] = found["kit"]["document"].replace(
        '"max_acc_f": 0.01', '"max_acc_f": 1'
    )


def change_kit_and_digest(found: dict[str, Any]) -> None:
    document = json.loads(found["kit"]["document"])
    document["host"]["before"]["per_class"] = []
    text = json.dumps(document)
    found["kit"] = {"document": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def change_schema(found: dict[str, Any]) -> None:
    found["schema"] = "nhle-onnx/device-result/v2"


def drop_figure(found: dict[str, Any]) -> None:
    del found["agreement"]


def put_text(found: dict[str, Any]) -> None:
    found["predictions"][0] = "0"


def put_no_number(found: dict[str, Any]) -> None:
    found["latency_ms"]["p50"] = float("nan")


@pytest.mark.parametrize(
    "change",
    [
        change_count, change_answer, change_verdict, change_kit, change_kit_and_digest,
        change_schema, drop_figure, put_text, put_no_number,
    ],
)  # fmt: skip
def test_a_changed_result_is_refused(
    change: Callable[[dict[str, Any]], None],
    result: Path,
    tmp_path: Path,
    nhle: Nhle,
) -> None:
    found = read(result)
    change(found)
    (tmp_path / "result.json").write_text(json.dumps(found), "utf-8")
    judged = nhle("verify", "--device-result", tmp_path / "result.json")
    assert judged.code == 3
    assert "is not the result of a device, or was changed: " in judged.err
    assert len(judged.err.splitlines()) == 2


def test_a_result_that_says_something_twice_is_refused(
    result: Path, tmp_path: Path, nhle: Nhle
) -> None:
    """Readers differ in which of the two they show."""
    text = result.read_text("utf-8").replace('"samples":', '"samples": 1, "samples":', 1)
    (tmp_path / "result.json").write_text(text, "utf-8")
    judged = nhle("verify", "--device-result", tmp_path / "result.json")
    assert_refused(judged, 3, "it has a repeated key")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": 1}', None])
def test_what_is_no_result_is_refused(content: bytes | None, tmp_path: Path, nhle: Nhle) -> None:
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    assert nhle("verify", "--device-result", path).code == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'MODEL'"),
        ((LENET,), "Missing option '--forget'"),
        ((LENET, "--forget", 3), "Missing option '--data'"),
        (
            ("--device-result", "r.json", "--data", "d"),
            "--data cannot be combined with --device-result",
        ),
    ],
)
def test_verify_takes_a_result_or_a_model(
    arguments: tuple[object, ...], message: str, nhle: Nhle
) -> None:
    judged = nhle("verify", *arguments)
    assert (judged.code, message in judged.err) == (2, True)


def test_images_are_picked_evenly_and_forgotten_ones_first() -> None:
    classes = np.repeat(np.arange(10), 50)
    few = classes[pick_images(classes, ForgetRequest(forget=(3,), num_classes=10), 30)]
    assert np.bincount(few).tolist() == [2, 2, 2, 15, 2, 2, 2, 1, 1, 1]
    many = classes[pick_images(classes, ForgetRequest(forget=(3,), num_classes=10), 1000)]
    assert np.bincount(many).tolist() == [50] * 10
    wide = np.repeat(np.arange(1000), 3)
    request = ForgetRequest(forget=(5, 700), num_classes=1000)
    picked = wide[pick_images(wide, request, 100)]
    assert len(picked) == 100
    assert np.bincount(picked)[[5, 700]].tolist() == [3, 3]
    one = pick_images(classes, ForgetRequest(forget=(3,), num_classes=10), 1)
    assert classes[one].tolist() == [3]


def test_a_large_model_has_no_page(
    edited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nhle: Nhle
) -> None:
    monkeypatch.setattr(page, "_MOST_BYTES", 2**16)
    command = ("kit", edited, "--forget", 3, "--data", EVALUATION, *BESIDE)
    made = nhle(*command, "-o", tmp_path / "kit.zip")
    assert made.code == 6
    assert "note: no index.html" in made.err
    with zipfile.ZipFile(tmp_path / "kit.zip") as packed:
        assert set(packed.namelist()) == {
            "README.txt", "images.bin", "kit.json", "model/edited.onnx", "verify.mjs", "verify.py",
        }  # fmt: skip


def test_large_images_are_fewer() -> None:
    assert choose_limit(28 * 28 * 4) == 200
    assert choose_limit(3 * 224 * 224 * 4) == 55
    assert choose_limit(2**40) == 1


def test_what_is_vendored_is_what_npm_ships() -> None:
    manifest = read_manifest()
    assert manifest["integrity"].startswith("sha512-")
    for name, digest in manifest["files"].items():
        assert hashlib.sha256(read_web_file(name)).hexdigest() == digest
    assert b"Permission is hereby granted" in read_web_file("LICENSE")
    assert manifest["version"].encode() in read_web_file("ort.wasm.bundle.min.mjs")


def test_readme_names_every_runner(kit: Made) -> None:
    text = read_runner("README.txt")
    for name in ("verify.py", "index.html", "verify.mjs"):
        assert name in text
        assert (kit.folder / name).is_file()

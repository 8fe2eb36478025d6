"""Settings from a file and to one, --log-file, colours, and old and other names of options."""

import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import click
import pytest

import nhle_onnx
from nhle_onnx.cli.main import cli
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, SAMPLES, copy_sidecars

CWM = ("--forget", "3", "--method", "cwm", "--dry-run", "--json")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a model and its samples, to be used from elsewhere."""
    copy_sidecars(tmp_path)
    shutil.copy(LENET, tmp_path / "lenet.onnx")
    (tmp_path / "images").symlink_to(SAMPLES, target_is_directory=True)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "forget.toml"
    file.write_text(text)
    return file


def list_commands(group: click.Group = cli, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        names = (*prefix, name)
        found += list_commands(command, names) if isinstance(command, click.Group) else [names]
    return found


@pytest.mark.parametrize("names", list_commands(), ids=" ".join)
def test_every_command_takes_a_file_of_settings_and_a_log(
    names: tuple[str, ...], nhle: Nhle
) -> None:
    shown = nhle(*names, "--help").out
    assert all(flag in shown for flag in ("--config", "--save-config", "--log-file"))


def test_paths_are_relative_to_the_file(
    project: Path,
    nhle: Nhle,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("HOME", str(project))
    text = 'model = "lenet.onnx"\nforget = "Dress"\nmethod = "cwm"\nanchors = "off"\n'
    config = write(project, f'{text}samples = "images"\nlabels = "~/labels.txt"\n')
    result = nhle("unlearn", "--config", config, "--dry-run", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["would_write"][0] == str(project / "lenet.unlearned.onnx")


@pytest.mark.parametrize("forget", ["3", '"Dress"', "[3]", '["Dress"]'])
def test_one_value_needs_no_list(forget: str, project: Path, nhle: Nhle) -> None:
    config = write(project, f'forget = {forget}\nmethod = "cwm"')
    result = nhle("unlearn", project / "lenet.onnx", "--config", config, "--dry-run", "--json")
    assert json.loads(result.out)["forget"] == [3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = true", "seed cannot be true or false"),
        ("seed = [[1]]", "seed cannot be a list"),
        ("force = 1", "force cannot be 1"),
        ("[forget]\nDress = 1", "forget cannot be a table"),
        ("ssed = 1", "Did you mean seed?"),
        ('config = "other.toml"', "config is not a setting here"),
        ("seed = -1", "--seed"),
        ("mean = [1, 2]", "2 numbers"),
        ("seed = ", "cannot be read as TOML"),
    ],
)
def test_a_wrong_setting_is_named(text: str, said: str, project: Path, nhle: Nhle) -> None:
    result = nhle("unlearn", project / "lenet.onnx", "--config", write(project, text), *CWM)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_what_is_saved_gives_the_same_run(
    project: Path, nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (project / "kept").mkdir()
    flags = ("--samples", "images", "--mean", "0.5", "--std", "0.25", "--preprocess", "0-1",
             "--lr", "auto", "--seed", 7, "--max-acc-f", "0.05", "--quiet")  # fmt: skip
    first = nhle("unlearn", "lenet.onnx", *flags, "--save-config", "kept/run.toml", *CWM)
    text = (project / "kept/run.toml").read_text("utf-8")
    assert tomllib.loads(text) == {
        "model": "../lenet.onnx", "forget": ["3"], "samples": "../images", "method": "cwm",
        "lr": "auto", "seed": 7, "max-acc-f": 0.05, "preprocess": "0-1", "mean": [0.5],
        "std": [0.25], "quiet": True, "json": True,
    }  # fmt: skip
    assert "# Seed of all random numbers.\nseed = 7\n" in text
    monkeypatch.chdir(project / "kept")
    again = nhle("unlearn", "--config", "run.toml", "--dry-run")
    one, other = json.loads(first.out), json.loads(again.out)
    for key in ("method", "samples", "before", "preprocess", "forget"):
        assert one[key] == other[key] or key == "samples"


def test_what_exists_is_not_replaced_by_settings(project: Path, nhle: Nhle) -> None:
    model = project / "lenet.onnx"
    before = model.read_bytes()
    for force in ((), ("--force",)):
        result = nhle("unlearn", model, *CWM, "--save-config", model, *force)
        assert result.code in {2, 3}
        assert str(model) in result.err
    assert model.read_bytes() == before
    assert nhle("inspect", model, "--save-config", project / "images").code == 3


def test_the_log_grows_and_other_files_do_not(project: Path, nhle: Nhle) -> None:
    log = project / "run.log"
    assert (
        nhle("verify", LENET, "--forget", 3, "--data", EVALUATION, "--log-file", log, "-q").code
        == 1
    )
    assert nhle("inspect", project / "none.onnx", "--log-file", log).code == 3
    assert nhle("inspect", LENET, "--log-file", log, "--layout", "x").code == 2
    lines = log.read_text("utf-8").splitlines()
    assert lines[0] == "# nhle-onnx log"
    stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} (INFO|NOTE|ERROR) ")
    assert all(stamp.match(line) for line in lines[1:])
    text = "\n".join(lines)
    for said in ("INFO FAILED: after.acc_f", "none.onnx does not exist", "Invalid value"):
        assert said in text
    before = LENET.read_bytes()
    for path in (LENET, project, project / "images" / "x" / "y.log"):
        assert nhle("inspect", LENET, "--log-file", path).code == 3
    assert LENET.read_bytes() == before


def test_a_full_disk_ends_the_log_and_not_the_run(nhle: Nhle) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no such device here")
    assert nhle("inspect", LENET, "--log-file", "/dev/full").code == 3


def test_old_names_work_with_a_note(project: Path, nhle: Nhle) -> None:
    model = project / "lenet.onnx"
    shown = nhle("unlearn", model, *CWM, "--eval-data", EVALUATION)
    assert shown.code == 0
    assert "note: --eval-data is now called --data" in shown.err
    config = write(project, f'eval_data = "{EVALUATION}"')
    shown = nhle("unlearn", model, *CWM, "--config", config)
    assert json.loads(shown.out)["samples"]["eval"] == 2000
    assert "eval_data is now called data" in shown.err


@pytest.mark.parametrize("names", [("CPUExecutionProvider",), ("cpu", "CPUExecutionProvider")])
def test_providers_have_the_names_of_onnx_runtime(names: tuple[str, ...], nhle: Nhle) -> None:
    flags = [text for name in names for text in ("--provider", name)]
    shown = nhle("verify", LENET, "--forget", 3, "--data", EVALUATION, *flags, "--json")
    found = {each["provider"] for each in json.loads(shown.out)["providers"]}
    assert found == {"CPUExecutionProvider"}
    report = nhle_onnx.verify(LENET, forget=3, data=EVALUATION, provider="CPUExecutionProvider")
    assert report.providers[0].provider == "CPUExecutionProvider"
    assert nhle("verify", LENET, "--forget", 3, "--data", EVALUATION, "--provider", "x").code == 2


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")], ids="=".join)
def test_no_colour_where_none_is_wanted(
    variable: tuple[str, str], monkeypatch: pytest.MonkeyPatch, nhle: Nhle
) -> None:
    monkeypatch.setattr(click._compat, "should_strip_ansi", lambda *_: False)
    arguments = ("verify", LENET, "--forget", 3, "--data", EVALUATION)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda _, color: color is False)
    assert "\x1b[" in nhle(*arguments).out
    monkeypatch.setenv(*variable)
    assert "\x1b[" not in nhle(*arguments).out


def test_a_dry_run_is_text_for_people(project: Path, nhle: Nhle) -> None:
    shown = nhle("unlearn", project / "lenet.onnx", *CWM[:-1], "--samples", SAMPLES)
    assert shown.code == 0
    assert re.search(r"^forget +3 Dress \(of 10 classes\)$", shown.out, re.MULTILINE)
    assert re.search(r"^writes +\S+lenet\.unlearned\.onnx$", shown.out, re.MULTILINE)
    assert "Nothing was written" in shown.out


@pytest.mark.parametrize(
    "names",
    [("unlearn",), ("kit",), ("sign",), ("fleet",), ("patch", "create"), ("patch", "apply")],
    ids=" ".join,
)
def test_out_has_a_short_name_everywhere(names: tuple[str, ...], nhle: Nhle) -> None:
    assert "-o, --out" in nhle(*names, "--help").out

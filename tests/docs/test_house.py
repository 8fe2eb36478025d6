"""What the redesign reached stays reached: `python -m tools.metrics`, and its own counting."""

import re
import tomllib
from pathlib import Path

import pytest

from support import ROOT
from tools import digests
from tools.metrics import count_flags, list_circles, measure

# Studies and benchmarks that were asked for afterwards.
LATER = (
    "benchmarks/cuda/*.py",
    "benchmarks/runtimes.py",
    "studies/attackers.py",
    "studies/conditions/*.py",
    "studies/detectors.py",
    "studies/exporters/**/*.py",
    "studies/saturation*.py",
    "studies/strangers/*.py",
)


def test_figures_stay_within_their_limits() -> None:
    found = measure(ROOT)
    assert found["median lines of a function"] <= 6
    assert found["90th percentile of these"] <= 22
    assert found["import circles"] == 0
    assert found["lookups of tensors by rebuilding a dict"] == 0
    assert found["lines that name a flag outside cli/ and api/"] <= 1  # a command of Ray's
    assert found["lines of JSON under docs/"] < 10_000
    later = sum(
        len(file.read_text("utf-8").splitlines())
        for pattern in LATER
        for file in (ROOT / "toolkit").glob(pattern)
    )
    assert found["lines of Python in studies and benchmarks"] - later < 8_000


def test_digests_need_no_verdict_but_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([0, 1, 6, 3])
    monkeypatch.setattr(digests, "run", lambda _arguments: next(codes))
    for _ in range(3):
        digests.call("kit")
    with pytest.raises(SystemExit, match="ended with 3"):
        digests.call("kit")


def test_a_circle_and_a_flag_are_found() -> None:
    base = Path("base")
    files = {
        base / "a.py": "from p.b import x\n",
        base / "b.py": "def f():\n    from p import a\n",
        base / "c.py": "import p.a\n",
    }
    files = {base / "p" / path.name: text for path, text in files.items()}
    assert list_circles(files, base) == [("p.a", "p.b")]
    text = '"""Not --this one."""\nname = "give --force"\nother = "a--b"\n'
    assert count_flags(text) == 1


def test_survivors_of_mutation_are_in_the_code() -> None:
    """A reason for a line that is gone excuses nothing, and hides what it once did."""
    code = {
        " ".join(line.split())
        for path in (ROOT / "toolkit" / "nhle_onnx").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
    }
    survivors = tomllib.loads((ROOT / "tests" / "mutation" / "survivors.toml").read_text("utf-8"))
    changed = [
        " ".join(line[1:].split())
        for survivor in survivors["survivor"]
        for line in survivor["change"].splitlines()
        if line.startswith("-")
    ]
    assert len(changed) > 100
    assert [line for line in changed if line not in code] == []


def test_temporary_folders_are_private_and_swept() -> None:
    """A killed process leaves a copy of the user's model nowhere for good."""
    makers = {
        path.name
        for path in (ROOT / "toolkit" / "nhle_onnx").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"TemporaryDirectory\(|mkdtemp\(|NamedTemporaryFile\(", line)
        and not line.lstrip().startswith(">>>")
    }
    assert makers == {"scratch.py"}

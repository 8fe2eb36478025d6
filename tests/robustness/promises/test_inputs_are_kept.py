"""No output takes the place of anything that was opened, under whatever name."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import remember_inputs, watch_inputs
from nhle_onnx.graph.save import write_files
from nhle_onnx.workflows import attacks
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, copy_sidecars
from support.signing_keys import save_private, save_public

_UNLEARN = "unlearn base.onnx --forget 3 --method cwm --samples few.npz --labels labels.txt"
_AUDIT = "audit edited.onnx --baseline base.onnx --forget 3 --data few.npz --repeats 1"
_CASES = [
    ("patch create base.onnx edited.onnx -o OUT", "base.onnx edited.onnx edited.report.json"),
    (
        "patch apply base.onnx p.nhlepatch --require-signature public.pem -o OUT",
        "base.onnx p.nhlepatch public.pem p.nhlepatch.sig",
    ),
    ("sign edited.onnx --key private.pem -o OUT", "edited.onnx private.pem"),
    (f"{_UNLEARN} --data more.npz --out OUT", "base.onnx few.npz more.npz labels.txt"),
    (f"{_UNLEARN} --preprocess pre.json --config c.toml --out OUT", "pre.json c.toml"),
    (f"{_UNLEARN} --out new.onnx --bom OUT", "base.onnx few.npz labels.txt"),
    (f"{_UNLEARN} --out new.onnx --report OUT", "base.onnx few.npz labels.txt"),
    (f"{_AUDIT} --report OUT", "base.onnx edited.onnx few.npz labels.txt"),
    (
        "kit edited.onnx --baseline base.onnx --forget 3 --data few.npz -o OUT",
        "base.onnx edited.onnx few.npz labels.txt",
    ),
]
_WAYS: dict[str, Callable[[Path, Path], object]] = {
    "itself": lambda _name, _path: None,
    "symbolic link": lambda name, path: name.symlink_to(path),
    "hard link": lambda name, path: name.hardlink_to(path),
}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory, masked: Path) -> Path:
    """Files of every kind that a command opens."""
    folder = tmp_path_factory.mktemp("stock")
    shutil.copy(LENET, folder / "base.onnx")
    shutil.copy(masked, folder / "edited.onnx")
    shutil.copy(masked.with_suffix(".report.json"), folder / "edited.report.json")
    copy_sidecars(folder)
    shutil.copy(folder / "preprocessor_config.json", folder / "pre.json")
    samples = np.load(EVALUATION)
    for name in ("few.npz", "more.npz"):
        np.savez(folder / name, x=samples["x"][::40], y=samples["y"][::40])
    key = ec.generate_private_key(ec.SECP256R1())
    save_private(folder / "private.pem", key)
    save_public(folder / "public.pem", key)
    (folder / "c.toml").write_text("seed = 1\n")
    return folder


@pytest.fixture(autouse=True)
def one_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an audit finds is not asked here."""
    monkeypatch.setattr(attacks, "ATTACKS", {"traces": attacks.ATTACKS["traces"]})


@pytest.fixture
def work(stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nhle: Nhle) -> Path:
    """A copy of them as the current folder."""
    monkeypatch.chdir(shutil.copytree(stock, tmp_path / "work"))
    if not (stock / "p.nhlepatch").exists():
        assert nhle(*["patch", "create", "base.onnx", "edited.onnx", "-o", "p.nhlepatch"]).code == 0
        assert nhle(*["sign", "p.nhlepatch", "--key", "private.pem"]).code == 0
        for name in ("p.nhlepatch", "p.nhlepatch.sig"):
            shutil.copy(name, stock)
    return Path.cwd()


def read_tree(folder: Path) -> dict[str, str]:
    """The digest of every file."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("command", "name", "way"),
    [
        pytest.param(command, name, way, id=f"{' '.join(command.split()[:2])} {name}-{way}")
        for command, names in _CASES
        for name in names.split()
        for way in _WAYS
    ],
)
def test_no_output_takes_the_place_of_an_input(
    nhle: Nhle, work: Path, command: str, name: str, way: str
) -> None:
    out = Path(name)
    if way != "itself":
        out = Path("other.html" if "--report OUT" in command else "other.onnx")
        _WAYS[way](out, Path(name).absolute())
    before = read_tree(work)
    result = nhle(*command.replace("OUT", str(out)).split(), "--force")
    is_report = out.suffix != ".html" and "--report OUT" in command  # refused by its suffix
    assert result.code == (2 if is_report else 3), result
    assert read_tree(work) == before


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
@pytest.mark.parametrize("command", [command for command, _ in _CASES])
def test_no_output_is_a_special_file(nhle: Nhle, work: Path, command: str, kind: str) -> None:
    is_report = "--report OUT" in command
    out = Path("special.html" if is_report else "special")
    if kind == "device":
        out = Path("/dev/null")
    elif kind == "pipe":
        os.mkfifo(out)
    else:
        out.mkdir()
    before = read_tree(work)
    result = nhle(*command.replace("OUT", str(out)).split(), "--force")
    assert result.code == (2 if is_report and kind == "device" else 3)
    assert read_tree(work) == before
    assert Path("/dev/null").is_char_device()


def test_a_sample_of_a_folder_is_kept(nhle: Nhle, work: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    for index in range(10):
        place = work / "images" / str(index)
        place.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((28, 28), 9 * index, np.uint8)).save(place / f"{number}.png")
    sample = work / "images" / "9" / "2.png"
    before = sample.read_bytes()
    flags = ("--forget", 3, "--method", "cwm", "--samples", "images", "--force-unknown", "--force")
    result = nhle("unlearn", "base.onnx", *flags, "--out", sample)
    assert result.code == 3
    assert sample.read_bytes() == before


def test_what_was_written_may_be_replaced(nhle: Nhle, work: Path) -> None:
    command = [*_UNLEARN.split(), "--out", "new.onnx", "--quiet", "--allow-unjudged"]
    assert nhle(*command).code == 0
    before = read_tree(work)
    assert nhle(*command, "--force").code == 0
    assert read_tree(work).keys() == before.keys()


@pytest.mark.parametrize("change", ["replaced", "written", "restored times", "removed"])
def test_samples_that_change_meanwhile_are_not_judged(tmp_path: Path, change: str) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.write_bytes(b"before")
    status = data.stat()

    @remember_inputs()
    def work() -> None:
        watch_inputs((data,))
        if change in {"replaced", "removed"}:
            data.unlink()
        if change != "removed":
            data.write_bytes(b"afterw")
        if change == "restored times":
            os.utime(data, ns=(status.st_atime_ns, status.st_mtime_ns))
        write_files({out: b"result"}, force=False)

    with pytest.raises(InputRefusedError, match="changed by another process"):
        work()
    assert not out.exists()


def test_a_command_without_outputs_checks_at_its_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"before")

    @remember_inputs()
    def work() -> None:
        watch_inputs((data,))
        data.write_bytes(b"after")

    with pytest.raises(InputRefusedError):
        work()

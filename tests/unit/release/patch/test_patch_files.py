"""Patches as files: what is in them, and what is refused before anything is written."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import zstandard
from safetensors import safe_open
from scipy.stats import entropy

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.patch import container
from nhle_onnx.release.patch.apply import apply_patch, check_base
from nhle_onnx.release.patch.container import Container, open_patch, pack
from nhle_onnx.release.patch.differences import split_counts
from nhle_onnx.release.patch.pieces import join_pieces
from nhle_onnx.values.patch import Manifest
from nhle_onnx.workflows.diff import compare_files
from nhle_onnx.workflows.patch_apply import describe_patch
from support.assertions import assert_told
from support.hostile.case import MODEL, HostileFile, read_base
from support.hostile.patch_files import PATCH
from support.hostile.patches import CASES
from support.patch_models import (
    TENSORS,
    WEIGHT,
    compare,
    edit,
    make_manifest,
    make_model,
    move,
    move_in_steps,
    set_row,
)
from support.shipped import LENET


@pytest.fixture
def patched(tmp_path: Path) -> Container:
    """A base, and a patch for it, with streams of every kind."""
    new = edit("w", move_in_steps) | {name: edit(name, move)[name] for name in ("first", "b")}
    recipe = compare(new)
    (tmp_path / "base.onnx").write_bytes(make_model(TENSORS).SerializeToString())
    (tmp_path / "p.nhlepatch").write_bytes(pack(make_manifest(recipe), recipe.streams))
    return open_patch(tmp_path / "p.nhlepatch")


def test_a_patch_is_safetensors_of_compressed_streams(patched: Container) -> None:
    assert patched.streams.keys() == {"insert", "sum.0", "sum.1", "delta2.0", "delta2.1"}
    content = patched.path.read_bytes()
    assert patched.size_bytes == len(content)
    sizes = {"insert": TENSORS["b"].nbytes, "sum.0": WEIGHT.size, "delta2.1": TENSORS["first"].size}
    with safe_open(patched.path, "numpy") as opened:
        assert Manifest.model_validate_json(opened.metadata()["manifest"]) == patched.manifest
        assert {*opened.keys()} == patched.streams.keys()
        for name, span in patched.streams.items():
            packed = opened.get_tensor(name).tobytes()
            assert packed == content[span.start : span.end]
            plain = zstandard.decompress(packed)
            assert len(plain) == sizes.get(name, len(plain))
    assert patched.manifest.tool == {"name": "a tool"}
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    assert header.index(b'"format"') < header.index(b'"manifest"')
    assert min(span.start for span in patched.streams.values()) % 8 == 0


@pytest.mark.parametrize("small", [0, 2**30])
def test_noise_costs_its_entropy(
    patched: Container, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training's steps are noise; of large patches, too, which get less effort."""
    monkeypatch.setattr(container, "_SMALL_BYTES", small)
    counts = np.rint(4 * np.random.default_rng(0).normal(size=2**19)).astype(np.int32)
    noise, _ = split_counts(counts)
    _, shares = np.unique(np.frombuffer(noise, np.uint8), return_counts=True)
    packed = pack(patched.manifest, {"sum.0": noise})
    spent = len(packed) - len(pack(patched.manifest, {}))
    assert spent <= 1.02 * len(noise) * entropy(shares, base=256)


def test_what_is_shown_of_a_patch_adds_up(patched: Container) -> None:
    """Each byte of the result is of one kind."""
    (file,) = describe_patch(patched)["result"]
    assert sum(file["bytes"].values()) == file["size_bytes"]
    assert file["bytes"]["sum"] == WEIGHT.nbytes
    assert file["bytes"]["delta"] == TENSORS["first"].nbytes


@pytest.mark.parametrize("chunk", [16, 40])
def test_pieces_are_made_bit_by_bit(
    chunk: int, patched: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bit of each is shorter, or not."""
    monkeypatch.setattr("nhle_onnx.release.patch.apply._CHUNK_BYTES", chunk)
    apply_patch(patched, tmp_path / "base.onnx", tmp_path / "out.onnx")
    made = hashlib.sha256((tmp_path / "out.onnx").read_bytes()).hexdigest()
    assert made == patched.manifest.result[0].sha256


def test_a_base_is_checked_before_anything_is_written(patched: Container, tmp_path: Path) -> None:
    base, out = tmp_path / "base.onnx", tmp_path / "out.onnx"
    check_base(patched, base)
    apply_patch(patched, base, out)
    with pytest.raises(InputRefusedError, match=f"{out} already exists"):
        apply_patch(patched, base, out)
    good, made = base.read_bytes(), out.read_bytes()
    out.unlink()
    one = bytearray(good)
    one[len(one) // 2] ^= 1
    digest = hashlib.sha256(good).hexdigest()
    for content, reason, remedy in (
        (
            bytes(one),
            f"{base} is not the model that {patched.path} is for",
            f"with SHA-256 {digest}",
        ),
        (
            good + b"x",
            f"{base} is not the model that {patched.path} is for",
            f"with SHA-256 {digest}",
        ),
        (made, f"{base} is already patched", "nothing to do"),
        (None, f"{base} cannot be read: No such file", "Give the model that was patched."),
    ):
        base.unlink()
        if content is not None:
            base.write_bytes(content)
        for action in (check_base, lambda *given: apply_patch(*given, out)):
            with pytest.raises(InputRefusedError) as caught:
                action(patched, base)
            assert_told(caught.value, reason)
            assert remedy in caught.value.remedy
            assert not out.exists()
        base.write_bytes(b"")


def test_a_base_that_differs_where_nothing_is_read_is_another(tmp_path: Path) -> None:
    """The result would be right; but the patch says what it is for."""
    recipe = compare(edit("w", set_row(3, 0)))
    base, out = tmp_path / "base.onnx", tmp_path / "out.onnx"
    base.write_bytes(make_model(edit("w", set_row(3, 9))).SerializeToString())
    patch = tmp_path / "p.nhlepatch"
    patch.write_bytes(pack(make_manifest(recipe), recipe.streams))
    with pytest.raises(InputRefusedError) as caught:
        apply_patch(open_patch(patch), base, out)
    assert_told(caught.value, f"{base} is not the model that {patch} is for")
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": 9}, "names a file that the base does not have"),
        ({"offset": 2**30}, "changes numbers that the base does not hold"),
        ({"offset": 0}, "does not produce the promised file"),
    ],
)
def test_pieces_that_the_base_does_not_have(
    change: dict[str, int], reason: str, patched: Container, tmp_path: Path
) -> None:
    """Of a header that nobody wrote by this program."""
    (made,) = patched.manifest.result
    wrong = [
        each._replace(**change) if each.kind in {"sum", "delta"} else each for each in made.pieces
    ]
    manifest = patched.manifest.model_copy(
        update={"result": (made.model_copy(update={"pieces": tuple(wrong)}),)}
    )
    with pytest.raises(InputRefusedError, match=reason):
        apply_patch(
            patched._replace(manifest=manifest), tmp_path / "base.onnx", tmp_path / "out.onnx"
        )
    assert not (tmp_path / "out.onnx").exists()


def test_a_file_without_bytes_is_made(patched: Container, tmp_path: Path) -> None:
    """As weights beside a model may be, after an edit."""
    (made,) = patched.manifest.result
    digest = hashlib.sha256(b"").hexdigest()
    empty = made.model_copy(
        update={"name": "w.bin", "pieces": (), "sha256": digest, "size_bytes": 0}
    )
    manifest = patched.manifest.model_copy(update={"result": (made, empty)})
    apply_patch(patched._replace(manifest=manifest), tmp_path / "base.onnx", tmp_path / "out.onnx")
    assert (tmp_path / "w.bin").read_bytes() == b""
    assert [*join_pieces(())] == []


def test_what_a_patch_does_not_say_is_found_by_diff(patched: Container, tmp_path: Path) -> None:
    """A header that leaves changed tensors out makes the same result, which tells of them."""
    quiet = patched.manifest.model_copy(update={"tensors": (), "forget": (7,)})
    content = patched.path.read_bytes()
    streams = {name: content[span.start : span.end] for name, span in patched.streams.items()}
    streams = {name: zstandard.decompress(each) for name, each in streams.items()}
    (tmp_path / "quiet.nhlepatch").write_bytes(pack(quiet, streams))
    base, out = tmp_path / "base.onnx", tmp_path / "out.onnx"
    apply_patch(open_patch(tmp_path / "quiet.nhlepatch"), base, out)
    found = compare_files(base, out, None)
    assert {tensor.name for tensor in found.tensors} == {"w", "first", "b"}


def test_no_room_for_the_result(
    patched: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = patched.manifest.result[0].size_bytes
    usage = type("Usage", (), {"free": size - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(InputRefusedError) as caught:
        apply_patch(patched, tmp_path / "base.onnx", tmp_path / "out.onnx")
    assert_told(
        caught.value, f"{patched.path} makes {size:,} bytes, but {tmp_path} has {size - 1:,} free"
    )
    usage.free = size
    apply_patch(patched, tmp_path / "base.onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.is_dangerous], ids=lambda case: case.name
)
def test_what_strangers_send(case: HostileFile, tmp_path: Path) -> None:
    (tmp_path / "files" / "out").mkdir(parents=True)
    folder = tmp_path / "files"
    case.build(folder, read_base(LENET))
    with pytest.raises(InputRefusedError) as caught:
        apply_patch(open_patch(folder / PATCH), folder / MODEL, folder / "out" / "edited.onnx")
    assert_told(caught.value, case.attempts[0].says)
    assert not [*(folder / "out").iterdir()]


def test_what_is_no_patch(tmp_path: Path) -> None:
    path = tmp_path / "p.nhlepatch"
    cases = {
        b"": "is truncated", b"abc": "is truncated", (2**23).to_bytes(8, "little"): "is truncated",
        (2**23 + 1).to_bytes(8, "little"):
            "is not a patch of nhle-onnx: its header would have 8,388,609 bytes",
        (2).to_bytes(8, "little") + b"{}": "is not a patch of nhle-onnx",
        (24).to_bytes(8, "little") + b'{"__metadata__": "text"}': "is not a patch of nhle-onnx",
        LENET.read_bytes(): "is not a patch of nhle-onnx",
    }  # fmt: skip
    for content, reason in cases.items():
        path.write_bytes(content)
        with pytest.raises(InputRefusedError) as caught:
            open_patch(path)
        assert_told(caught.value, f"{path} {reason}")
        assert "Fetch the patch again" in caught.value.remedy
    path.unlink()
    for _ in range(2):
        with pytest.raises(InputRefusedError) as caught:
            open_patch(path)
        assert_told(caught.value, f"{path} cannot be read: ")
        path.mkdir(exist_ok=True)

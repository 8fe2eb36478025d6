"""A patch gives the edited model byte for byte, or nothing; and holds no old value."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import ModelProto, TensorProto, helper, numpy_helper
from safetensors.numpy import save

from nhle_onnx.release.patch import container
from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.release.patch.differences import add_differences, split_differences
from nhle_onnx.values.settings.patch import ApplySettings, CreateSettings
from nhle_onnx.workflows.patch_apply import apply_patch_file
from nhle_onnx.workflows.patch_create import create_patch
from support import TESTS
from support.assertions import assert_refused
from support.graphs import make_model, make_node, run_model
from support.runs import Nhle, Unlearned, unlearn
from support.shipped import (
    LENET,
    MOBILENET,
    MOBILENET_INT8,
    SAMPLES,
    copy_sidecars,
    put_weights,
)
from support.signing_keys import write_pair

STORED = TESTS / "files" / "patches"


def assert_round_trip(base: Path, edited: Path, folder: Path, *, deltas: bool = True) -> Path:
    patch = folder / "p.nhlepatch"
    create_patch(
        CreateSettings(base=base, edited=edited, out=patch, no_deltas=not deltas, force=True)
    )
    made = folder / "made" / edited.name
    made.parent.mkdir(exist_ok=True)
    apply_patch_file(ApplySettings(base=base, patch=patch, out=made, force=True))
    assert made.read_bytes() == edited.read_bytes()
    for sidecar in open_patch(patch).manifest.result[1:]:
        assert (
            made.with_name(sidecar.name).read_bytes() == edited.with_name(sidecar.name).read_bytes()
        )
    return patch


def test_a_trained_model_is_patched_in_steps(unlearned_lenet: Unlearned, tmp_path: Path) -> None:
    """All weights but the earliest moved, and the patch is a fraction of the model."""
    patch = assert_round_trip(unlearned_lenet.original, unlearned_lenet.edited, tmp_path)
    matrices = [each for each in open_patch(patch).manifest.tensors if len(each.shape) > 1]
    assert [each.encoding for each in matrices] == ["sum"] * 3 + ["new values"]
    assert patch.stat().st_size < 0.2 * unlearned_lenet.edited.stat().st_size


@pytest.mark.parametrize("model", [LENET, MOBILENET, MOBILENET_INT8])
def test_round_trip_of_every_shipped_model(model: Path, tmp_path: Path) -> None:
    """Every weight moved a little, and one class masked."""
    edited = tmp_path / "edited.onnx"
    onnx.save(move_weights(onnx.load(model)), edited)
    patch = assert_round_trip(model, edited, tmp_path)
    assert patch.stat().st_size < edited.stat().st_size
    whole = assert_round_trip(model, edited, tmp_path, deltas=False)
    assert whole.stat().st_size < 1.1 * edited.stat().st_size


def move_weights(model: ModelProto) -> ModelProto:
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if len(tensor.dims) > 1 and values.dtype.kind == "f":
            noise = 1 + 0.01 * rng.normal(size=values.shape)
            tensor.raw_data = (values * noise).astype(values.dtype).tobytes()
        elif len(tensor.dims) > 1 and values.dtype.kind == "i" and values.dtype.itemsize == 1:
            moved = values.astype(int) + rng.integers(-1, 2, values.shape)
            tensor.raw_data = moved.clip(-128, 127).astype(np.int8).tobytes()
    return model


def test_round_trip_of_what_the_tool_edits(masked: Path, tmp_path: Path) -> None:
    patch = assert_round_trip(LENET, masked, tmp_path)
    manifest = open_patch(patch).manifest
    assert manifest.forget == (3,)
    assert manifest.report_sha256 is not None
    assert {tensor.name: tensor.rows for tensor in manifest.tensors} == {
        "classifier.weight": ((3, 3),),
        "classifier.bias": ((3, 3),),
    }
    assert patch.stat().st_size < 3000


def test_round_trip_with_weights_beside_the_model(tmp_path: Path) -> None:
    base = tmp_path / "base" / "model.onnx"
    base.parent.mkdir()
    put_weights(base, "w.bin")
    copy_sidecars(base.parent)
    edited = tmp_path / "edited.onnx"
    unlearn(base, edited, "--forget", "3", "--method", "cwm", "--samples", str(SAMPLES))
    assert edited.with_name("edited.onnx.data").exists()
    patch = assert_round_trip(base, edited, tmp_path)
    assert patch.stat().st_size < 4000


def test_weights_in_another_folder_are_refused(tmp_path: Path, nhle: Nhle) -> None:
    base = put_weights(tmp_path / "base.onnx", "in/w.bin")
    result = nhle("patch", "create", base, LENET, "-o", tmp_path / "p.nhlepatch")
    assert_refused(result, 3, "base.onnx keeps weights in another folder", "beside the model")


def test_two_files_at_one_place_are_refused(tmp_path: Path, nhle: Nhle) -> None:
    edited, patch = put_weights(tmp_path / "edited.onnx", "w.bin"), tmp_path / "p.nhlepatch"
    assert nhle("patch", "create", LENET, edited, "-o", patch).code == 0
    result = nhle("patch", "apply", LENET, patch, "-o", tmp_path / "o" / "w.bin")
    assert_refused(result, 3, "makes a file w.bin beside the model", "--out")


def test_too_many_changes_are_refused(
    tmp_path: Path, nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nhle_onnx.workflows.patch_create.MAX_PIECES", 2)
    proto = onnx.load(LENET)
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 1, tensor.name))
    onnx.save(proto, tmp_path / "edited.onnx")
    result = nhle("patch", "create", LENET, tmp_path / "edited.onnx", "-o", tmp_path / "p")
    assert_refused(result, 3, "differs from", "in too many places for a patch", "Ship the edited")
    assert not (tmp_path / "p").exists()


ELEMENTS = {
    np.float32: st.floats(width=32, allow_nan=True),
    np.float16: st.floats(width=16, allow_nan=True),
    np.int8: st.integers(-128, 127),
    np.int32: st.integers(-(2**31), 2**31 - 1),
}


@st.composite
def draw_models(draw: st.DrawFn) -> tuple[ModelProto, ModelProto]:
    """A graph of random tensors, and an edit of it: values, a tensor more, nodes, metadata."""
    old, new = [], []
    for index in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(list(ELEMENTS)))
        shape = draw(st.lists(st.integers(1, 6), max_size=3).map(tuple))
        before = draw(arrays(kind, shape, elements=ELEMENTS[kind]))
        after = before.copy()
        if draw(st.booleans()):
            after = draw(arrays(kind, shape, elements=ELEMENTS[kind]))
        if shape and draw(st.booleans()):
            after[draw(st.integers(0, shape[0] - 1))] = 0
        old.append(numpy_helper.from_array(before, f"t{index}"))
        if not draw(st.integers(0, 9)):
            after = draw(arrays(np.int8, 3, elements=ELEMENTS[np.int8]))
        new.append(numpy_helper.from_array(after, f"t{index}"))
    if draw(st.booleans()):
        new.append(numpy_helper.from_array(np.arange(5), "more"))
    if draw(st.booleans()):
        new.reverse()
    return make_holding(old, "a"), make_holding(new, draw(st.text(max_size=5)))


def make_holding(tensors: list[TensorProto], text: str) -> ModelProto:
    constant = helper.make_node("Constant", [], ["c"], value=tensors[0])
    model = make_model([constant, make_node("Identity", "x")], {"x": [1]}, {"y": [1]}, tensors)
    model.graph.doc_string = text
    return model


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw_models(), st.booleans())
def test_round_trip_of_any_edit(
    tmp_path_factory: pytest.TempPathFactory,
    models: tuple[ModelProto, ModelProto],
    deltas: bool,  # noqa: FBT001 - a parameter
) -> None:
    folder = tmp_path_factory.mktemp("any")
    base, edited = folder / "base.onnx", folder / "edited.onnx"
    for path, model in zip((base, edited), models, strict=True):
        path.write_bytes(model.SerializeToString())
    assert_round_trip(base, edited, folder, deltas=deltas)


@given(
    st.sampled_from([1, 2, 4]).flatmap(
        lambda width: st.tuples(
            st.just(width), *[st.binary(min_size=8 * width, max_size=8 * width)] * 2
        )
    )
)
def test_differences_give_back_the_new_words(case: tuple[int, bytes, bytes]) -> None:
    width, old, new = case
    assert bytes(add_differences(old, split_differences(old, new, width))) == new


def read_streams(patch: Path) -> bytes:
    """All that a patch holds, decompressed."""
    import zstandard  # noqa: PLC0415 - only here

    container = open_patch(patch)
    content = patch.read_bytes()
    return b"".join(
        zstandard.ZstdDecompressor().decompress(content[span.start : span.end])
        for span in container.streams.values()
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_a_patch_holds_nothing_of_a_masked_row(
    transposed: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    """Not its bytes, and no differences to zero, which are its bytes too."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(10, 64)).astype(np.float32), np.ones(10, np.float32) * 0.37
    edited_weight, edited_bias = weight * np.float32(1.001), bias * np.float32(1.001)
    edited_weight[3], edited_bias[3] = 0, np.finfo(np.float32).min
    models = []
    for rows, values in ((weight, bias), (edited_weight, edited_bias)):
        stored = np.ascontiguousarray(rows.T) if transposed else rows
        tensors = [numpy_helper.from_array(stored, "w"), numpy_helper.from_array(values, "b")]
        models.append(make_holding(tensors, ""))
    base, edited = tmp_path / "base.onnx", tmp_path / "edited.onnx"
    for path, model in zip((base, edited), models, strict=True):
        path.write_bytes(model.SerializeToString())
    held = read_streams(assert_round_trip(base, edited, tmp_path))
    words = [*weight[3], bias[3]]
    planes = split_differences(np.array(words).tobytes(), bytes(4 * len(words)), 4)
    assert not any(word.tobytes() in held for word in words)
    assert not any(plane[:16] in held for plane in planes[:3])


def test_a_masked_row_of_whole_numbers_costs_little(tmp_path: Path) -> None:
    """Although some columns are zeros alone once it is zero."""
    edited = tmp_path / "edited.onnx"
    unlearn(MOBILENET_INT8, edited, "--forget", "3", "--method", "cwm")
    patch = assert_round_trip(MOBILENET_INT8, edited, tmp_path)
    assert patch.stat().st_size < 3000


def test_without_deltas_the_base_does_not_come_back(tmp_path: Path) -> None:
    edited = tmp_path / "edited.onnx"
    onnx.save(move_weights(onnx.load(LENET)), edited)
    patch = assert_round_trip(LENET, edited, tmp_path, deltas=False)
    assert "insert" in open_patch(patch).streams
    assert not any(name.startswith("delta") for name in open_patch(patch).streams)


@pytest.fixture
def patch(masked: Path, tmp_path: Path) -> Path:
    out = tmp_path / "p.nhlepatch"
    create_patch(CreateSettings(base=LENET, edited=masked, out=out))
    return out


def test_applying_twice_or_to_another_model_is_refused(
    masked: Path, patch: Path, tmp_path: Path, nhle: Nhle
) -> None:
    out = tmp_path / "out.onnx"
    assert_refused(nhle("patch", "apply", masked, patch, "-o", out), 3, "already patched")
    assert_refused(nhle("patch", "apply", MOBILENET, patch, "-o", out), 3, "is not the model")
    assert_refused(
        nhle("patch", "apply", tmp_path / "no.onnx", patch, "-o", out), 3, "cannot be read"
    )
    assert not out.exists()


def test_a_base_that_is_also_the_output_is_refused(patch: Path, tmp_path: Path, nhle: Nhle) -> None:
    base = tmp_path / "model.onnx"
    shutil.copy(LENET, base)
    assert_refused(
        nhle("patch", "apply", base, patch, "-o", base, "--force"), 3, "never changed in place"
    )
    assert base.read_bytes() == LENET.read_bytes()


def test_a_patch_of_a_signer_who_is_not_trusted_is_refused(
    masked: Path, patch: Path, tmp_path: Path, nhle: Nhle
) -> None:
    folders = [tmp_path / name for name in ("ours", "theirs")]
    for folder in folders:
        folder.mkdir()
    (private, public), (_, other) = map(write_pair, folders)
    out = tmp_path / "out.onnx"
    assert nhle("sign", patch, "--key", private).code == 0
    apply = ("patch", "apply", LENET, patch, "-o", out, "--require-signature")
    assert_refused(nhle(*apply, other), 3)
    assert not out.exists()
    assert nhle(*apply, public).code == 0
    assert out.read_bytes() == masked.read_bytes()
    out.unlink()
    content = bytearray(patch.read_bytes())
    content[-1] ^= 1
    patch.write_bytes(content)
    assert_refused(nhle(*apply, public), 3)
    patch.with_name("p.nhlepatch.sig").unlink()
    assert_refused(nhle(*apply, public), 3)
    assert not out.exists()


def test_the_ort_file_of_a_patched_model_answers_as_it_does(
    patch: Path, tmp_path: Path, nhle: Nhle
) -> None:
    out = tmp_path / "out.onnx"
    assert nhle("patch", "apply", LENET, patch, "-o", out, "--also", "ort").code == 0
    images = np.random.default_rng(0).normal(size=(4, 1, 28, 28)).astype(np.float32)
    answers = [run_model(path, images) for path in (out, out.with_suffix(".ort"))]
    np.testing.assert_allclose(answers[0][0][:, 4:], answers[1][0][:, 4:], rtol=1e-4, atol=1e-4)


def list_tamperings(content: bytes) -> Iterator[bytes]:
    for keep in (0, 5, 9, 100, len(content) // 2, len(content) - 1):
        yield content[:keep]
    for position in range(0, len(content), max(1, len(content) // 150)):
        yield content[:position] + bytes([content[position] ^ 0x41]) + content[position + 1 :]


def test_a_damaged_patch_gives_the_right_model_or_nothing(
    masked: Path, patch: Path, tmp_path: Path, nhle: Nhle
) -> None:
    """A flipped byte in a name that is only shown may pass; what is written is right even then."""
    out, damaged = tmp_path / "out.onnx", tmp_path / "damaged.nhlepatch"
    refused = 0
    for content in list_tamperings(patch.read_bytes()):
        damaged.write_bytes(content)
        result = nhle("patch", "apply", LENET, damaged, "-o", out, "-q")
        if result.code:
            refused += 1
            assert_refused(result, 3)
            assert not out.exists()
        else:
            assert out.read_bytes() == masked.read_bytes()
            out.unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "damaged.nhlepatch", "p.nhlepatch"
        ]  # fmt: skip
    assert refused > 100


def test_a_patch_of_a_newer_format_is_refused(patch: Path, tmp_path: Path, nhle: Nhle) -> None:
    newer = tmp_path / "newer.nhlepatch"
    newer.write_bytes(patch.read_bytes().replace(b"nhle-onnx/patch/v1", b"nhle-onnx/patch/v9"))
    assert_refused(nhle("patch", "inspect", newer), 3, "v9", "Update")


def pack_document(document: dict[str, object]) -> bytes:
    """A patch with any header, as no version of ours would write it."""
    metadata = {"format": "nhle-onnx/patch/v1", "manifest": json.dumps(document)}
    return save({"insert": np.zeros(1, np.uint8)}, metadata)


@pytest.mark.parametrize("name", ["../evil.onnx", "/evil.onnx", "a/b", "..\\evil", ""])
def test_a_patch_that_names_another_folder_is_refused(
    name: str, patch: Path, tmp_path: Path, nhle: Nhle
) -> None:
    container = open_patch(patch)
    document = container.manifest.model_dump(mode="json", by_alias=True)
    document["result"].append(document["result"][0] | {"name": name, "pieces": []})
    evil = tmp_path / "evil.nhlepatch"
    evil.write_bytes(pack_document(document))
    assert_refused(nhle("patch", "apply", LENET, evil, "-o", tmp_path / "o.onnx"), 3, "header")
    assert not (tmp_path.parent / "evil.onnx").exists()


def test_inspect_agrees_with_the_files(masked: Path, patch: Path, nhle: Nhle) -> None:
    document = json.loads(nhle("patch", "inspect", patch, "--json").out)
    assert document["schema"] == "nhle-onnx/patch/v1"
    assert document["patch"]["size_bytes"] == patch.stat().st_size
    assert document["result"][0]["size_bytes"] == masked.stat().st_size
    assert sum(document["result"][0]["bytes"].values()) == masked.stat().st_size
    shown = nhle("patch", "inspect", patch).out
    assert document["base"][0]["sha256"] in shown


@pytest.mark.parametrize("stored", sorted(STORED.glob("*.nhlepatch")), ids=lambda path: path.name)
def test_patches_of_every_format_still_apply(stored: Path, tmp_path: Path) -> None:
    """Each was made of LeNet-5 as it ships; the digest of the result stands in it."""
    out = tmp_path / "out.onnx"
    apply_patch_file(ApplySettings(base=LENET, patch=stored, out=out))
    onnx.checker.check_model(onnx.load(out))


def test_there_is_a_stored_patch_of_this_format() -> None:
    formats = {path.name.split(".")[0] for path in STORED.glob("*.nhlepatch")}
    assert "v1" in formats


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells memory on Linux alone")
def test_applying_needs_neither_torch_nor_onnx_nor_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """48 MiB in eight tensors: what applying takes, with Python itself, is little more than one."""
    monkeypatch.setattr(container, "_SMALL_BYTES", 0)  # others are compressed slowly
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(1024, 1536)).astype(np.float32) for _ in range(8)]
    base, edited, patch = (tmp_path / name for name in ("b.onnx", "e.onnx", "p.nhlepatch"))
    for path, factor in ((base, 1.0), (edited, 1.0001)):
        tensors = [
            numpy_helper.from_array(value * np.float32(factor), f"t{index}")
            for index, value in enumerate(values)
        ]
        path.write_bytes(make_holding(tensors, "").SerializeToString())
    create_patch(CreateSettings(base=base, edited=edited, out=patch))
    # the most that getrusage tells is the parent's, if that is larger
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nhle_onnx.values.settings.patch import ApplySettings\n"
        "from nhle_onnx.workflows.patch_apply import apply_patch_file\n"
        "base, patch, out = map(Path, sys.argv[1:])\n"
        "apply_patch_file(ApplySettings(base=base, patch=patch, out=out))\n"
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "held = next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
        "print(held, 'torch' in sys.modules, 'onnx' in sys.modules)\n"
    )
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # measuring takes memory, too
    done = subprocess.run(
        [sys.executable, "-c", script, base, patch, tmp_path / "o.onnx"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    held, has_torch, has_onnx = done.stdout.split()
    assert int(held) * 1024 <= 1.5 * values[0].nbytes + 64 * 2**20
    assert (has_torch, has_onnx) == ("False", "False")
    assert (tmp_path / "o.onnx").read_bytes() == edited.read_bytes()

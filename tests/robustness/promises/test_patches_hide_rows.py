"""What a patch and the edited model tell of the masked class: nothing, in any number format."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import zstandard
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.head.feature_tensors import list_feature_tensors
from nhle_onnx.graph.tensors import list_tensors
from nhle_onnx.release.patch.container import Container, open_patch
from nhle_onnx.release.patch.layout import list_stored
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.patch_create import create_patch
from support.graphs import make_model
from support.head_forms import CLASSES, FEATURES, Form, build, node
from support.quantized_forms import FORMS, NUMBERS

_KINDS = {"int4": TensorProto.INT4, "uint4": TensorProto.UINT4, "uint8": TensorProto.UINT8}


def _blocks(kind: int) -> Form:
    """A Gemm of blocks with a step each, in narrow numbers."""
    low = 0 if kind in {TensorProto.UINT4, TensorProto.UINT8} else -8
    numbers = (NUMBERS % 16 + low).ravel().tolist()
    weight = helper.make_tensor("w", kind, [CLASSES, FEATURES], numbers)
    steps = np.linspace(0.01, 0.02, CLASSES * 3, dtype=np.float32).reshape(CLASSES, 3)
    return Form(
        nodes=[
            node("DequantizeLinear", "w s", "wr", axis=1, block_size=2),
            node("Gemm", "x wr b", "y", transB=1),
        ],
        tensors={"w": weight, "s": steps, "b": np.ones(CLASSES, np.float32)},
        op="Gemm",
    )  # fmt: skip


_FORMS = FORMS | {
    f"blocks-{name}": lambda kind=kind: _blocks(kind) for name, kind in _KINDS.items()
}
_EDITS = ("masked", "masked and trained", "twin of a neighbour", "pruned")


def _edit(base: ModelProto, class_: int, how: str) -> ModelProto:
    """Change every constant along whichever axis counts classes."""
    edited = ModelProto()
    edited.CopyFrom(base)
    for _, tensor in list_tensors(edited):
        values = numpy_helper.to_array(tensor)
        axes = [axis for axis, extent in enumerate(values.shape) if extent == CLASSES]
        if not axes:
            continue
        rows = np.moveaxis(values.copy(), axes[0], 0)
        if how == "masked and trained":
            rows[...] = (rows.astype(np.float64) * 0.9).astype(rows.dtype)
        rows[class_] = rows[class_ - 1] if how.startswith("twin") else rows.dtype.type(1)
        if how == "pruned":
            rows[..., ::2] = rows.dtype.type(0)
        changed = numpy_helper.from_array(np.ascontiguousarray(np.moveaxis(rows, 0, axes[0])))
        tensor.ClearField("int32_data")
        tensor.raw_data = changed.raw_data
    return edited


def recover(container: Container, edited: bytes, size: int) -> Mapping[int, int]:
    """The base's bytes by position, as far as the patch and the edited model tell them."""
    content = container.path.read_bytes()
    streams = {
        name: zstandard.ZstdDecompressor().stream_reader(content[span.start : span.end]).read()
        for name, span in container.streams.items()
    }
    used, known, end = dict.fromkeys(streams, 0), {}, 0
    for piece in container.manifest.result[0].pieces:
        now = edited[end : end + piece.size]
        if piece.kind == "delta":
            planes = []
            for index in range(piece.width):
                name = f"delta{piece.width}.{index}"
                count = piece.size // piece.width
                planes.append(np.frombuffer(streams[name], np.uint8, count, used[name]))
                used[name] += count
            folded = np.ascontiguousarray(np.stack(planes, 1)).view(f"<u{piece.width}")[:, 0]
            difference = (folded >> 1) ^ (np.zeros_like(folded) - (folded & 1))
            now = (np.frombuffer(now, difference.dtype) - difference).tobytes()
        if piece.kind != "insert":
            assert piece.kind != "sum"  # a head of floats would have to be trained for that
            known |= dict(zip(range(piece.offset, piece.offset + piece.size), now, strict=True))
        end += piece.size
    return {place: value for place, value in known.items() if place < size}


@pytest.fixture
def write(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tmp_path / "base.onnx", tmp_path / "edited.onnx", tmp_path / "p.nhlepatch"


@pytest.mark.parametrize("how", _EDITS)
@pytest.mark.parametrize("form", _FORMS)
def test_no_number_of_a_head_comes_back(
    form: str, how: str, write: tuple[Path, Path, Path]
) -> None:
    base, edited, patch = write
    proto = build(_FORMS[form]())
    for _, tensor in list_tensors(proto):
        if not tensor.HasField("raw_data"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    for class_ in range(3):
        onnx.save(proto, base)
        onnx.save(_edit(proto, class_, how), edited)
        made = create_patch(CreateSettings(base=base, edited=edited, out=patch, force=True))
        old, new = base.read_bytes(), edited.read_bytes()
        told = recover(made, new, len(old))
        places = {tensor.name: tensor for tensor in list_stored(edited, new)}
        changed = [
            stored.start + index
            for stored in list_stored(base, old)
            for index in range(stored.size)
            if old[stored.start + index] != new[places[stored.name].start + index]
        ]
        assert changed
        assert [place for place in changed if place in told] == []


def test_digests_cover_whole_files(write: tuple[Path, Path, Path]) -> None:
    """Of a digest of four numbers of which three are known, one core tries all in a minute."""
    base, edited, patch = write
    proto = build(FORMS["gemm"]())
    onnx.save(proto, base)
    onnx.save(_edit(proto, 2, "masked"), edited)
    manifest = create_patch(CreateSettings(base=base, edited=edited, out=patch)).manifest
    files = {file.sha256 for file in (*manifest.base, *manifest.result)}
    new = {tensor.after for tensor in manifest.tensors}
    text = json.dumps(manifest.model_dump(mode="json"))
    assert set(re.findall(r"[0-9a-f]{64}", text)) == files | new
    assert {tensor.before for tensor in manifest.tensors} == {None}


def test_features_are_told_as_differences(write: tuple[Path, Path, Path]) -> None:
    """What is trained far from any head costs little, as ever."""
    base, edited, patch = write
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.normal(size=(FEATURES, FEATURES)).astype(np.float32),
        "w": rng.normal(size=(CLASSES, FEATURES)).astype(np.float32),
    }
    nodes = [node("Gemm", "x a", "h"), node("Relu", "h", "r"), node("Gemm", "r w", "y", transB=1)]
    onnx.save(make_model(nodes, {"x": ["n", FEATURES]}, {"y": ["n", CLASSES]}, tensors), base)
    tensors = {name: values * np.float32(1.001) for name, values in tensors.items()}
    proto = make_model(nodes, {"x": ["n", FEATURES]}, {"y": ["n", CLASSES]}, tensors)
    onnx.save(proto, edited)
    assert list_feature_tensors(proto) & tensors.keys() == {"a"}
    made = create_patch(CreateSettings(base=base, edited=edited, out=patch))
    assert {tensor.name: tensor.encoding for tensor in made.manifest.tensors} == {
        "a": "delta", "w": "new values"
    }  # fmt: skip
    assert open_patch(patch).manifest == made.manifest

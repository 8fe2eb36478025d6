"""Small files that would take everything: each is refused, or done, in seconds."""

import io
import json
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import ModelProto, helper
from PIL import Image
from pyarrow import parquet

from nhle_onnx.data.decoding import decode_image
from nhle_onnx.data.webdataset import split_key
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.toml_files import read_toml
from nhle_onnx.release.kit.results import measure_answers
from nhle_onnx.values.preprocess import Preprocess
from support.assertions import assert_refused
from support.inputs import make_input
from support.runs import Nhle, Result
from support.shipped import EVALUATION, LENET

_SECONDS = 15  # of processor time: far more than any takes on a slow, busy machine


def _judge(nhle: Nhle, data: Path) -> Result:
    start = time.process_time()
    result = nhle("verify", LENET, "--forget", 3, "--data", data, "--quiet")
    assert time.process_time() - start < _SECONDS
    return result


def _pack_header(size: bytes, name: bytes = b"a.jpg", kind: bytes = b"0") -> bytes:
    fields = struct.pack("100s8s8s8s12s12s", name, b"644", b"0", b"0", size, b"0")
    block = bytearray(fields + b" " * 8 + kind + bytes(100) + b"ustar\x0000").ljust(512, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _number(value: int) -> bytes:
    return b"\xff" + value.to_bytes(11, "big", signed=True)


@pytest.mark.parametrize("kind", [b"0", b"5", b"1", b"S", b"7", b"L", b"x", b"Z"])
@pytest.mark.parametrize("size", [-512, -1024, -1536, -1])
def test_a_tar_with_a_negative_size(nhle: Nhle, tmp_path: Path, kind: bytes, size: int) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(_pack_header(b"0") + _pack_header(_number(size), kind=kind) + bytes(1024))
    assert _judge(nhle, path).code == 3


@pytest.mark.parametrize("mark", ["/", ".", "/.", "a/", "../", "é/"])
@pytest.mark.parametrize("count", [3_000, 80_000])
def test_a_tar_with_a_long_name(nhle: Nhle, tmp_path: Path, mark: str, count: int) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(mark * count + "a"), io.BytesIO())
    assert _judge(nhle, path).code == 3


@pytest.mark.parametrize(
    ("name", "key", "suffix"),
    [("a/b.c.JPG", "a/b", "c.jpg"), ("a.b/c.jpg", "a.b/c", "jpg"), ("a", "a", ""),
     ("a/b", "a/b", ""), (".a", ".a", ""), ("", "", "")],
)  # fmt: skip
def test_keys_are_split_as_ever(name: str, key: str, suffix: str) -> None:
    assert split_key(name) == (key, suffix)


@pytest.mark.parametrize("kind", ["rows", "long class", "equal images"])
def test_a_parquet_file_that_repeats_itself(nhle: Nhle, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.parquet"
    if kind == "rows":
        count = 2**26
        columns = {"image": pa.nulls(count, pa.binary()), "label": pa.nulls(count, pa.int8())}
    else:
        images = [bytes(2**20) if kind == "equal images" else b"x"] * 64
        columns = {"image": pa.array(images), "label": pa.array(["3" * 2**20] * 64)}
        if kind == "equal images":
            columns["label"] = pa.array(["3"] * 64)
    parquet.write_table(pa.table(columns), path, compression="zstd")
    result = _judge(nhle, path)
    assert result.code == 3


def _make_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    stream = io.BytesIO()
    Image.new("L", (side, side)).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * count + content[-2:]


@pytest.mark.parametrize(("count", "side"), [(4000, 64), (200, 1024), (90, 6000)])
def test_a_jpeg_of_many_scans(count: int, side: int) -> None:
    content = _make_scans(count, side)
    target, preprocess = make_input(1, 8, 8), Preprocess(source="", size=(8, 8))
    start = time.process_time()
    with pytest.raises(InputRefusedError, match="scans"):
        decode_image("a.jpg", io.BytesIO(content), target, preprocess)
    assert time.process_time() - start < 1


def test_an_ordinary_progressive_jpeg() -> None:
    target, preprocess = make_input(1, 8, 8), Preprocess(source="", size=(8, 8))
    assert decode_image("a", io.BytesIO(_make_scans(1, 64)), target, preprocess).shape == (8, 8, 1)


def _chain(model: ModelProto, count: int) -> None:
    last = model.graph.output[0]
    for index in range(count):
        name = f"out{index}"
        model.graph.node.append(helper.make_node("Identity", [model.graph.output[-1].name], [name]))
        model.graph.output.add().CopyFrom(last)
        model.graph.output[-1].name = name


@pytest.mark.parametrize("count", [10, 5000])
def test_chained_outputs(nhle: Nhle, lenet_copy: Path, count: int) -> None:
    model = onnx.load(lenet_copy)
    _chain(model, count)
    onnx.save(model, lenet_copy)
    start = time.process_time()
    assert nhle("inspect", lenet_copy).code in {0, 4}
    assert time.process_time() - start < 2 * _SECONDS


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("shape", [(2**30, 28, 28), (2**40,), (2**62, 2, 2), (-1, 28, 28)])
def test_an_npz_that_claims_more_than_it_has(
    nhle: Nhle, tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    path, samples = tmp_path / "s.npz", np.load(EVALUATION)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in ("x", "y"):
            stream = io.BytesIO()
            kind = "|u1" if each == "x" else "<i8"
            claimed = shape if each == name else samples[each][:1].shape
            np.lib.format.write_array_header_1_0(
                stream, {"descr": kind, "fortran_order": False, "shape": claimed}
            )
            archive.writestr(f"{each}.npy", stream.getvalue() + bytes(2**20))
    assert _judge(nhle, path).code == 3


@pytest.mark.parametrize("error", [MemoryError, np.exceptions.AxisError, OSError])
def test_what_is_out_of_memory_is_no_failed_gate(
    nhle: Nhle, monkeypatch: pytest.MonkeyPatch, error: Callable[..., Exception]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error(0) if error is np.exceptions.AxisError else error

    monkeypatch.setattr("nhle_onnx.workflows.inspect.inspect_model", fail)
    assert nhle("inspect", LENET).code == (70 if error is np.exceptions.AxisError else 3)


@pytest.mark.parametrize("count", [2**17 + 1, 300_000])
def test_a_patch_of_very_many_pieces(nhle: Nhle, tmp_path: Path, count: int) -> None:
    """The header's own limit allows 640,000 of them."""
    path, digest = tmp_path / "p.nhlepatch", "0" * 64
    file = {"name": "m.onnx", "sha256": digest, "size_bytes": count}
    manifest = {
        "schema": "nhle-onnx/patch/v1", "tool": {}, "base": [file], "tensors": [],
        "result": [file | {"pieces": [["copy", 1]] * count}],
    }  # fmt: skip
    metadata = {"format": "nhle-onnx/patch/v1", "manifest": json.dumps(manifest)}
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    start = time.process_time()
    result = nhle("patch", "apply", LENET, path, "-o", tmp_path / "o.onnx")
    assert result.code == 3
    assert "pieces" in result.err or "header would have" in result.err
    assert time.process_time() - start < _SECONDS


@pytest.mark.parametrize("count", [10, 40_000])
def test_a_device_result_of_many_classes(count: int) -> None:
    """Each class is counted once, not by a pass over all answers."""
    kit = SimpleNamespace(
        classes=tuple(range(count)), labels=tuple(map(str, range(count))), forget=(3,),
        host=SimpleNamespace(before=None), expected=tuple(range(count)),
    )  # fmt: skip
    start = time.process_time()
    figures = measure_answers(kit, kit.expected)  # type: ignore[arg-type]
    assert figures.after.acc_r == 1
    assert time.process_time() - start < 1


@pytest.mark.parametrize("command", [("inspect", LENET, "--config"), ("fleet",), ("dossier",)])
@pytest.mark.parametrize("part", ["a", "'a.b'", '"\\u0061"', "a ", "0"])
def test_a_key_of_many_parts(
    nhle: Nhle, tmp_path: Path, command: tuple[object, ...], part: str
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(".".join([part] * 100_000) + " = 1")
    start = time.process_time()
    flags = ("-o", tmp_path / "d.zip") if command == ("dossier",) else ()
    result = nhle(*command, path, *flags)
    assert time.process_time() - start < _SECONDS
    assert_refused(result, 3 if flags else 2, "more than 16 parts")


@pytest.mark.parametrize(
    "text",
    ["mean = [" + "0.25, " * 5000 + "]", 'a = "' + "b.c, " * 5000 + '"', "a.b.c.d = 1.5",
     "a" * 10**6 + " = 1", '"' * 10**5, "[" + ".".join("abcdefghij") + "]"],
    ids=["numbers", "words", "parts", "long", "quotes", "table"],
)  # fmt: skip
def test_other_dots_are_no_parts(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    try:
        read_toml(path)
    except ValueError as error:
        assert "parts" not in str(error)  # noqa: PT017 - most are valid

"""JSON and TOML that other programs wrote: read as everybody reads it, or refused."""

from pathlib import Path

import pytest

from nhle_onnx.graph import toml_files
from nhle_onnx.graph.strict_json import parse_json
from nhle_onnx.graph.toml_files import read_toml


@pytest.mark.parametrize("text", ['{"a": [1, {"b": null}]}', b'{"a": [1, {"b": null}]}'])
def test_json_is_read(text: str | bytes) -> None:
    assert parse_json(text) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 1}', "it has a repeated key"),
        ('[{"b": {"a": 1, "a": 2}}]', "it has a repeated key"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not a JSON number"),
        ("[" * 100_000, "it is nested too deeply"),
        ("{", "Expecting property name"),
    ],
)
def test_json_that_readers_take_differently(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_json(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.toml"


def test_toml_is_read(path: Path) -> None:
    path.write_text("[a]\nb = 1\n'c d'.\"e\\\"f\" . g = 'é'\n", "utf-8")
    assert read_toml(path) == {"a": {"b": 1, "c d": {'e"f': {"g": "é"}}}}


@pytest.mark.parametrize("part", ["a", '"a b"', "'a'", "a-b_1"])
@pytest.mark.parametrize("dot", [".", " . ", "\t."])
def test_a_key_has_at_most_16_parts(part: str, dot: str, path: Path) -> None:
    path.write_text(f"{dot.join([part] * 16)} = 1\n")
    assert read_toml(path)
    path.write_text(f"x = 1\n{dot.join([part] * 17)} = 1\n")
    with pytest.raises(ValueError, match=r"^it has a key of more than 16 parts$"):
        read_toml(path)


def test_toml_that_is_too_deep_or_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(f"a = {'[' * 100_000}")
    with pytest.raises(ValueError, match=r"^it is nested too deeply$"):
        read_toml(path)
    path.write_text("a = 12")
    monkeypatch.setattr(toml_files, "_MAX_BYTES", 6)
    assert read_toml(path) == {"a": 12}
    monkeypatch.setattr(toml_files, "_MAX_BYTES", 5)
    with pytest.raises(OSError, match="it has more than 5 bytes"):
        read_toml(path)
    with pytest.raises(OSError, match="No such file"):
        read_toml(path.with_name("none"))

"""Labels in every form, and how classes may be called."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nhle_onnx.data.labels import find_class, find_labels, parse_classes
from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.graph.load import load_model
from support.shipped import LENET

MODEL = load_model(LENET)
SYNSETS = ("n01440764 tench, Tinca tinca", "n01443537 goldfish, Carassius auratus")

# The file's name and content, and the labels.
FORMS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "lines": ("labels.txt", "a\nb\n\n", ("a", "b")),
    "a byte order mark": ("labels.txt", "\ufeffa\r\nb\r\n", ("a", "b")),
    "numbered lines": ("labels.txt", "0 a\n1 b c\n", ("a", "b c")),
    "numbers with colons": ("labels.txt", "0: a\n1: b\n", ("a", "b")),
    "numbers that are labels": ("labels.txt", "1\n2\n", ("1", "2")),
    "labels that start with a number": ("labels.txt", "1 euro\n2 euro\n", ("1 euro", "2 euro")),
    "synset lines": ("synset.txt", "\n".join(SYNSETS), SYNSETS),
    "id2label": ("config.json", json.dumps({"id2label": {"1": "b", "0": "a"}}), ("a", "b")),
    "label2id": ("config.json", json.dumps({"label2id": {"b": 1, "a": 0}}), ("a", "b")),
    "keras": (
        "labels.json", json.dumps({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}),
        ("n01440764 tench", "n01443537 goldfish"),
    ),
    "a flat table": ("labels.json", json.dumps({"0": "a", "1": "b"}), ("a", "b")),
    "a list": ("labels.json", json.dumps(["a", "b"]), ("a", "b")),
    "an inverse table": ("labels.json", json.dumps({"b": 1, "a": 0}), ("a", "b")),
    "timm": ("config.json", json.dumps({"label_names": ["a", "b"]}), ("a", "b")),
    "old timm": (
        "config.json", json.dumps({"pretrained_cfg": {"label_names": ["a", "b"]}}), ("a", "b")
    ),
    "csv with titles": ("labels.csv", 'id,label\n1,b\n0,"a, or A"\n', ("a, or A", "b")),
    "csv without titles": ("labels.csv", "0,a\n1,b\n", ("a", "b")),
    "csv of labels": ("labels.csv", "label\na\nb\n", ("a", "b")),
    "csv, one column": ("labels.csv", "a\nb\n", ("a", "b")),
    "yaml, a list": ("data.yaml", "nc: 2\nnames: ['a', \"b\"]\n", ("a", "b")),
    "yaml, a table": ("data.yaml", "names:\n  0: a\n  1: 'b: c'\nnc: 2\n", ("a", "b: c")),
    "yaml, dashes": ("data.yml", "# mine\nnames:\n- a\n- b\n", ("a", "b")),
    "yaml, a table in one line": ("data.yaml", "names: {0: a, 1: b}\n", ("a", "b")),
    "duplicates": ("labels.txt", "crane\ncrane\n", ("crane", "crane")),
    "only the case differs": ("labels.txt", "A\na\n", ("A", "a")),
    "only signs differ": ("labels.txt", "C\nC++\n", ("C", "C++")),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, tmp_path: Path) -> None:
    name, text, labels = FORMS[form]
    path = tmp_path / name
    path.write_text(text, "utf-8")
    assert find_labels(MODEL, len(labels), path) == labels


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.json", '{"num_layers": 3, "width": 64}'),
        ("labels.json", '{"id2label": {}}'),
        ("labels.json", '{"0": 5, "1": "a"}'),
        ("labels.json", '{"label2id": {"a": 0, "b": 0}}'),
        ("labels.json", "[1, 2]"),
        ("labels.csv", "wnid,words,colour\nn1,a,red\nn2,b,blue\n"),
        ("labels.csv", "0,a\n1\n"),
        ("labels.csv", " , \n\n"),
        ("data.yaml", "nc: 2\n"),
        ("data.yaml", "names: *others\n"),
        ("labels.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n"),
        ("labels.txt", "a\nb\nc\n"),
    ],
)
def test_what_says_nothing_clear_is_refused(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputRefusedError):
        find_labels(MODEL, 2, path)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("names", "{0: 'a', 1: 'b'}", ("a", "b")),
        ("names", "['a', 'b']", ("a", "b")),
        ("id2label", '{"0": "a", "1": "b"}', ("a", "b")),
        ("labels", "a\nb", ("a", "b")),
        ("classes", "2", ("0", "1")),
        ("names", "__import__('os')", ("0", "1")),
        ("names", f"{'[' * 9999}", ("0", "1")),
    ],
)
def test_metadata_names_classes(
    key: str, value: str, expected: tuple[str, ...], lenet_copy: Path
) -> None:
    lenet_copy.with_name("labels.txt").unlink()
    model = load_model(lenet_copy)
    model.proto.metadata_props.add(key=key, value=value)
    assert find_labels(model, 2, None) == expected


@pytest.mark.parametrize("labels", [None, [], "a\nb", {"0": "a"}])
def test_a_report_without_labels_is_passed_over(labels: object, lenet_copy: Path) -> None:
    model = load_model(lenet_copy)
    report = {"edited": {"sha256": model.sha256}, "labels": labels}
    lenet_copy.with_suffix(".report.json").write_text(json.dumps(report))
    expected = lenet_copy.with_name("labels.txt").read_text().split("\n")
    assert find_labels(model, 10, None)[:2] == tuple(expected[:2])
    lenet_copy.with_suffix(".report.json").write_text(json.dumps(report | {"labels": ["a"] * 10}))
    assert find_labels(model, 10, None) == ("a",) * 10


def test_a_config_without_labels_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden": 0, "layers": 1, "model_type": "x"}')
    assert find_labels(replace(MODEL, path=tmp_path / "m.onnx"), 2, None) == ("0", "1")


@pytest.mark.parametrize(
    ("name", "labels", "index"),
    [
        ("n01440764", SYNSETS, 0),
        ("goldfish", SYNSETS, 1),
        ("Carassius auratus", SYNSETS, 1),
        ("tench, Tinca tinca", SYNSETS, 0),
        ("A", ("a", "A"), 1),
        ("C++", ("C", "C++"), 1),
        ("cafe\u0301", ("caf\u00e9", "tea"), 0),
        ("caf\u00e9", ("tea", "cafe\u0301"), 1),
        ("index:1", ("1", "2"), 1),
        ("label:1", ("1", "2"), 0),
        ("0", ("1", "2"), 0),
        ("1", ("0", "1"), 1),
        ("1", ("1", "2"), None),
        ("crane", ("crane", "crane"), None),
        ("CRANE", ("Crane", "crane"), None),
        ("++", ("C", "++"), 1),
        ("", ("C", "++"), None),
    ],
)
def test_what_a_class_may_be_called(name: str, labels: tuple[str, ...], index: int | None) -> None:
    assert find_class(name, labels) == index


@pytest.mark.parametrize(
    ("name", "labels", "reason", "remedy"),
    [
        ("1", ("1", "2"), "1 is an index, and also the label of class 0", "index:1 or label:1"),
        ("crane", ("crane", "x", "crane"), "class 0 'crane' and 2 'crane'", "index:0 or index:2"),
        ("dres", ("Shirt", "Dress"), "no class 'dres'", "Did you mean Dress? Its classes are"),
        ("index:x", ("a", "b"), "no class 'index:x'", "Its classes are"),
    ],
)
def test_an_unclear_class_is_explained(
    name: str, labels: tuple[str, ...], reason: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as raised:
        parse_classes([name], labels)
    assert reason in raised.value.reason
    assert remedy in raised.value.remedy


def test_classes_by_prefix_may_be_listed() -> None:
    assert parse_classes(["index:1,label:1"], ("1", "2")) == (1, 0)

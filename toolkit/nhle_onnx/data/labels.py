"""Class names: where they are found, and how users may write them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

from nhle_onnx.data.beside import find_beside
from nhle_onnx.data.label_files import Labels, parse_lines, read_labels, read_table
from nhle_onnx.data.model_metadata import list_metadata, read_metadata
from nhle_onnx.data.own_report import read_own_report
from nhle_onnx.data.processors.ultralytics import read_literal
from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.hints import hint
from nhle_onnx.text import suggest
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.request import ForgetRequest

_SHOWN = 20
_MAX_DIGITS = 9
_SEPARATORS = re.compile(r"[\W_]+")
_SYNSET = re.compile(r"(?P<synset>n\d{8})[\s,:]+(?P<names>.+)")
_SIDECARS = (
    "labels.txt", "labels.json", "labels.csv", "labels.yaml", "config.json",
    "imagenet_class_index.json",
)  # fmt: skip
_METADATA = ("names", "id2label", "labels", "classes", "class_names")


def find_labels(
    model: OnnxModel, num_classes: int, given: Path | None, companions: Sequence[Path] = ()
) -> tuple[str, ...]:
    """Return the labels in class order: from the given file, the model's own report, a file beside
    the model, the model's metadata, or from related models, such as the baseline: files beside
    them, or their metadata.

    Without any of these, the labels are the indices. Raises InputRefusedError for a file that does
    not name as many classes as the model has.
    """
    place, labels = _read_given(given) if given else _find(model, num_classes, companions)
    if place is None:
        return tuple(str(index) for index in range(num_classes))
    if len(labels) != num_classes:
        message = f"{place} names {len(labels)} classes, but the model has {num_classes}"
        raise InputRefusedError(
            message, remedy=hint("Write each class's label once, in order, or give {labels=FILE}.")
        )
    return labels


def _read_given(path: Path) -> tuple[str, Labels]:
    labels = read_labels(path)
    if not labels:
        message = f"{path} says nothing about labels"
        raise InputRefusedError(message, remedy="It needs id2label, names, or a list of labels.")
    return str(path), labels


def _find(
    model: OnnxModel, num_classes: int, companions: Sequence[Path]
) -> tuple[str | None, Labels]:
    """Return the first place that names classes, and the labels there."""
    if reported := read_own_report(model):
        path, report = reported
        written = report.get("labels")
        if isinstance(written, list) and written:
            return str(path), tuple(map(str, written))
    own = list_metadata(model.proto)
    if found := _find_beside(model.path) or _find_in(own, model.path, num_classes):
        return found
    for path in companions:
        if found := _find_beside(path) or _find_in(read_metadata(path), path, num_classes):
            return found
    return None, ()


def _find_beside(place: Path) -> tuple[str, Labels] | None:
    for path in find_beside(place, _SIDECARS):
        if labels := read_labels(path):  # a config.json may have none
            return str(path), labels
    return None


def _find_in(
    metadata: Mapping[str, str], path: Path, num_classes: int
) -> tuple[str, Labels] | None:
    """Find labels in the metadata of the model at `path`, as Ultralytics and others write them;
    other programs use these keys for other things.
    """
    for key, value in metadata.items():
        if key in _METADATA:
            try:
                labels = read_table(_parse_value(value))
            except (ValueError, TypeError, LookupError, AttributeError):
                continue
            if len(labels) == num_classes:
                return f"metadata {key} of {path}", labels
    return None


def _parse_value(text: str) -> object:
    """Parse JSON, a Python literal, or lines."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        is_literal = text.lstrip().startswith(("{", "[", "("))
        return read_literal(text) if is_literal else list(parse_lines(text))


@dataclass(frozen=True, slots=True)
class _Names:
    """Which classes have a name: exactly, or in other spellings, or as a part of the label."""

    exact: dict[str, tuple[int, ...]]
    alike: dict[str, tuple[int, ...]]


@lru_cache(maxsize=16)
def _index_names(labels: tuple[str, ...]) -> _Names:
    exact: dict[str, list[int]] = {}
    alike: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        exact.setdefault(_compose(label), []).append(index)
        for name in dict.fromkeys(map(_normalize, _list_names(label))):
            if name:
                alike.setdefault(name, []).append(index)
    return _Names(
        *({name: tuple(found) for name, found in table.items()} for table in (exact, alike))
    )


def _list_names(label: str) -> Iterator[str]:
    """List what a class may be called: `n01440764 tench, Tinca tinca` has four names more."""
    yield label
    if found := _SYNSET.fullmatch(label):
        yield found["synset"]
        label = found["names"]
        yield label
    if "," in label:
        yield from label.split(",")


def list_readings(name: str, labels: Sequence[str]) -> tuple[int, ...]:
    """List all classes that a name may mean: as a label, as a similar label, or as an index."""
    names = _index_names(tuple(labels))
    number = _read_number(name)
    found = (
        *find_classes(name, labels),
        *names.alike.get(_normalize(name), ()),
        *(() if number is None else (number,)),
    )
    return tuple(dict.fromkeys(found))


def find_classes(name: str, labels: Sequence[str]) -> tuple[int, ...]:
    """Find the class called `name`: by its label, its index, or a similar label. Several mean that
    the name is ambiguous. `index:3` and `label:3` say which of both a number is.
    """
    kind, separator, rest = name.strip().partition(":")
    if separator and kind == "index" and (number := _read_number(rest)) is not None:
        return (number,)
    names = _index_names(tuple(labels))
    if separator and kind == "label":
        return names.exact.get(_compose(rest.strip()), ()) or names.alike.get(_normalize(rest), ())
    exact = names.exact.get(_compose(name), ()) or names.exact.get(_compose(name.strip()), ())
    number = _read_number(name)
    if number is not None:
        return tuple(dict.fromkeys((*exact, number)))
    return exact or names.alike.get(_normalize(name), ())


def find_class(name: str, labels: Sequence[str]) -> int | None:
    """Find the class called `name`; None if there is none, or several."""
    found = find_classes(name, labels)
    return found[0] if len(found) == 1 else None


def parse_classes(texts: Sequence[str], labels: Sequence[str]) -> tuple[int, ...]:
    """Parse classes of a command line: each text is a label, an index, or several with commas."""
    classes: list[int] = []
    for text in texts:
        names = [text] if find_classes(text, labels) else text.split(",")
        for name in names:
            found = find_classes(name.strip(), labels)
            if len(found) != 1:
                reason, remedy = explain_class(name.strip(), labels)
                raise UsageError(reason, remedy=remedy)
            classes += found
    return tuple(classes)


def parse_request(forget: Sequence[str], labels: Sequence[str]) -> ForgetRequest:
    """Parse the classes to forget, which must be the model's."""
    return ForgetRequest(forget=parse_classes(forget, labels), num_classes=len(labels))


def explain_class(name: str, labels: Sequence[str]) -> tuple[str, str]:
    """Say why a name does not mean exactly one class, and which names do."""
    found = find_classes(name, labels)
    if not found:
        return f"the model has no class {name!r}", _list_labels(name, labels)
    number = _read_number(name)
    if number is not None:
        owners = " and ".join(str(index) for index in found if index != number)
        reason = f"{name} is an index, and also the label of class {owners}"
        return reason, f"Write index:{name} or label:{name}."
    listed = " and ".join(f"{index} {labels[index]!r}" for index in found[:_SHOWN])
    choices = " or ".join(f"index:{index}" for index in found[:_SHOWN])
    return f"{name!r} may be class {listed}", f"Write {choices}."


def _list_labels(name: str, labels: Sequence[str]) -> str:
    """List all labels or, if there are many, those with a similar spelling."""
    near = suggest(name, labels)
    if len(labels) <= _SHOWN:
        return f"{near}Its classes are: {', '.join(labels)}."
    return f"{near}It has {len(labels)} classes: give an index from 0 to {len(labels) - 1}."


def _read_number(name: str) -> int | None:
    text = name.strip()
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _compose(label: str) -> str:
    return normalize("NFC", label)


def _normalize(label: str) -> str:
    return _SEPARATORS.sub("_", _compose(label)).strip("_").casefold()

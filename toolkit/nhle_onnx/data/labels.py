"""Class names: where they are found, and how users may write them."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from nhle_onnx.data.own_report import read_own_report
from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.hints import hint
from nhle_onnx.values.model import OnnxModel

_SHOWN = 20
_NEAR = 3
_SEPARATORS = re.compile(r"[\W_]+")


def find_labels(
    model: OnnxModel, num_classes: int, given: Path | None, companions: Sequence[Path] = ()
) -> tuple[str, ...]:
    """Return the labels in class order: from the given file, or the model's own report, or
    `labels.txt` or `config.json` beside the model, or the files beside models that it belongs to.

    Without any of these, the labels are the indices. Raises InputRefusedError for a file that does
    not name each class exactly once.
    """
    path, labels = (given, _read_labels(given)) if given else _find(model, companions)
    if path is None:
        return tuple(str(index) for index in range(num_classes))
    if len(labels) != num_classes:
        message = f"{path} names {len(labels)} classes, but the model has {num_classes}"
        raise InputRefusedError(
            message, remedy=hint("Write each class's label once, in order, or give {labels=FILE}.")
        )
    _refuse_alike(labels, path)
    return labels


def _find(model: OnnxModel, companions: Sequence[Path]) -> tuple[Path | None, tuple[str, ...]]:
    """The first place that names classes, and the labels there."""
    if own := read_own_report(model):
        path, report = own
        written = report.get("labels")
        if isinstance(written, list) and written:
            return path, tuple(map(str, written))
    for place in (model.path, *companions):
        for name in ("labels.txt", "config.json"):
            path = place.parent / name
            # a config.json may say nothing of labels
            if path.is_file() and (labels := _read_labels(path)):
                return path, labels
    return None, ()


def find_class(name: str, labels: Sequence[str]) -> int | None:
    """Find the class called `name` by a user or a folder: a label, an index, or a similar label."""
    if name in labels:
        return labels.index(name)
    if name.strip().isdecimal():
        return int(name)
    alike = [index for index, label in enumerate(labels) if _normalize(label) == _normalize(name)]
    return alike[0] if len(alike) == 1 else None


def parse_classes(texts: Sequence[str], labels: Sequence[str]) -> tuple[int, ...]:
    """Parse classes of a command line: each text is a label, an index, or several with commas."""
    classes: list[int] = []
    for text in texts:
        whole = find_class(text, labels)
        names = [text] if whole is not None else text.split(",")
        for name in names:
            found = find_class(name.strip(), labels)
            if found is None:
                message = f"the model has no class {name.strip()!r}"
                raise UsageError(message, remedy=_list_labels(name, labels))
            classes.append(found)
    return tuple(classes)


def _list_labels(name: str, labels: Sequence[str]) -> str:
    """List all labels or, if there are many, those with a similar spelling."""
    if len(labels) <= _SHOWN:
        return f"Its classes are: {', '.join(labels)}."
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, and seldom needed

    near = get_close_matches(name.strip(), labels, n=_NEAR)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}It has {len(labels)} classes: give an index from 0 to {len(labels) - 1}."


def _refuse_alike(labels: Sequence[str], path: Path) -> None:
    """Refuse labels that folders and the command line cannot tell apart."""
    seen: dict[str, str] = {}
    for label in labels:
        key = _normalize(label)
        if key in seen:
            message = f"{path} has labels that differ only in punctuation: {seen[key]!r}, {label!r}"
            raise InputRefusedError(
                message,
                remedy=hint("Make labels differ in letters or digits, or give {labels}."),
            )
        seen[key] = label


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        by_index = json.loads(text).get("id2label", {})
        return tuple(map(_require_text, (by_index[key] for key in sorted(by_index, key=int))))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"{path} cannot be read as labels: {error}"
        raise InputRefusedError(
            message, remedy=hint("Give {labels=FILE}, one label on each line.")
        ) from error


def _require_text(label: object) -> str:
    if not isinstance(label, str):
        message = f"a label is not text but {type(label).__name__}"
        raise TypeError(message)
    return label


def _normalize(label: str) -> str:
    return _SEPARATORS.sub("_", label).strip("_").casefold()

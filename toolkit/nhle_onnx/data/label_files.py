"""Files that name classes, in every form that is common."""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nhle_onnx.data.pointers import refuse_pointer
from nhle_onnx.errors import InputRefusedError, describe_error
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.graph.strict_json import refuse_repeats
from nhle_onnx.hints import hint

Labels = tuple[str, ...]

_NUMBERED = re.compile(r"(\d{1,9})\s*[:,\t ]\s*(\S.*)")
_NAME_COLUMNS = ("label", "name", "class_name", "class", "title", "names", "labels")
_INDEX_COLUMNS = ("index", "id", "class_id", "class_index", "label_id", "idx")
_PAIR = 2
_KEY = re.compile(r"\s*(?:-|(?P<index>\d+)\s*:)\s*(?P<name>.*)")
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error)


def read_labels(path: Path) -> Labels:
    """Read the labels in class order; () from JSON that says nothing of labels. Raises
    InputRefusedError for a file that cannot be read.
    """
    refuse_pointer(path)
    try:
        text = read_text(path, "utf-8-sig")
        return _PARSERS.get(path.suffix.lower(), parse_lines)(text)
    except (OSError, *_DAMAGE) as error:
        message = f"{path} cannot be read as labels: {describe_error(error)}"
        raise InputRefusedError(
            message, remedy=hint("Give {labels=FILE}, one label on each line.")
        ) from error


def parse_lines(text: str) -> Labels:
    """Parse one label on each line; the numbers of lines that are numbered from 0 are dropped."""
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(each and int(each[1]) == index for index, each in enumerate(numbered)):
        return tuple(each[2] for each in numbered if each)
    return lines


def parse_json(text: str) -> Labels:
    """Parse JSON of Hugging Face, Keras, timm, Ultralytics, or a plain list or table."""
    return _read_document(json.loads(text, object_pairs_hook=refuse_repeats))


def _read_document(document: Any) -> Labels:  # noqa: ANN401 - foreign JSON
    if isinstance(document, list):
        return tuple(map(_read_label, document))
    for key in ("id2label", "label2id", "names", "label_names", "labels", "classes"):
        if isinstance(document.get(key), list | Mapping) and document[key]:
            return read_table(document[key])
    if isinstance(document.get("pretrained_cfg"), Mapping):
        return _read_document(document["pretrained_cfg"])
    return read_table(document) if document and _is_table(document) else ()


def _is_table(document: Mapping[str, Any]) -> bool:
    """Whether all keys, or all values, are indices: other tables do not name classes."""
    values = list(document.values())
    if all(isinstance(value, int) for value in values):
        return sorted(values) == list(range(len(values)))
    return all(key.isdecimal() for key in document)


def read_table(table: Any) -> Labels:  # noqa: ANN401 - foreign JSON
    """Read a list, a table from indices to labels, or one from labels to indices."""
    if not isinstance(table, Mapping):
        return tuple(map(_read_label, _require_list(table)))
    if all(isinstance(value, int) for value in table.values()):
        by_index = {index: name for name, index in table.items()}
        if len(by_index) < len(table):
            raise ValueError("two labels have the same index")
    else:
        by_index = {int(key): label for key, label in table.items()}
    if sorted(by_index) != list(range(len(table))):  # any gap would name a wrong class
        raise ValueError("its indices are not 0, 1, 2 and so on")
    return tuple(_read_label(by_index[index]) for index in range(len(table)))


def _require_list(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"labels are not a list but {type(value).__name__}")
    return value


def _read_label(label: object) -> str:
    """Read a label, or a pair of synset and label as Keras has them."""
    if isinstance(label, list | tuple) and len(label) == _PAIR:
        return " ".join(map(_read_label, label))
    if not isinstance(label, str):
        raise TypeError(f"a label is not text but {type(label).__name__}")
    return label.strip()


def parse_csv(text: str) -> Labels:
    """Parse a table with a column of labels and perhaps one of indices, with or without titles."""
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if not rows:
        return ()
    titles = [cell.strip().casefold() for cell in rows[0]]
    names = [titles.index(title) for title in _NAME_COLUMNS if title in titles]
    indices = [titles.index(title) for title in _INDEX_COLUMNS if title in titles]
    if not names:
        return _parse_untitled(rows)
    return _read_columns(rows[1:], names[0], indices[0] if indices else None)


def _parse_untitled(rows: Sequence[Sequence[str]]) -> Labels:
    """Parse a column of labels, or one of labels and one of indices."""
    width = max(map(len, rows))
    if width == 1:
        return _read_columns(rows, 0, None)
    numbers = [column for column in range(width) if all(row[column].isdecimal() for row in rows)]
    if width != _PAIR or len(numbers) != 1:
        message = f"no title among {', '.join(rows[0])[:99]} says which column has the labels"
        raise ValueError(message)
    return _read_columns(rows, 1 - numbers[0], numbers[0])


def _read_columns(rows: Sequence[Sequence[str]], name: int, index: int | None) -> Labels:
    if index is None:
        return tuple(row[name].strip() for row in rows)
    return read_table({row[index].strip(): row[name] for row in rows})


def parse_yaml(text: str) -> Labels:
    """Parse `names:` of YAML as Ultralytics writes it, in one line or in several; no more."""
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    for place, line in enumerate(lines):
        if line.startswith("names:"):
            rest = line.removeprefix("names:").strip()
            return _parse_flow(rest) if rest else _parse_block(lines[place + 1 :])
    raise ValueError("it has no key `names`")


def _parse_flow(text: str) -> Labels:
    """Parse `[a, 'b']` or `{0: a, 1: 'b'}`."""
    inner = text.strip()[1:-1]
    if text[0] + text[-1] not in {"[]", "{}"}:
        raise ValueError(f"names is {text[:80]!r}")
    items = next(csv.reader([inner.replace("'", '"')], skipinitialspace=True))
    if text[0] == "[":
        return tuple(map(_unquote, items))
    pairs = (item.partition(":") for item in items)
    return read_table({key.strip(): _unquote(name) for key, _, name in pairs})


def _parse_block(lines: Sequence[str]) -> Labels:
    """Parse `- a` or `0: a` on each line, until another key."""
    table: dict[str, str] = {}
    for line in lines:
        found = _KEY.fullmatch(line)
        if found is None or not (line[0].isspace() or line[0] == "-"):
            break
        table[found["index"] or str(len(table))] = _unquote(found["name"])
    return read_table(table)


def _unquote(text: str) -> str:
    stripped = text.strip()
    is_quoted = len(stripped) >= _PAIR and stripped[0] == stripped[-1] and stripped[0] in "'\""
    return stripped[1:-1] if is_quoted else stripped


_PARSERS: dict[str, Callable[[str], Labels]] = {
    ".json": parse_json,
    ".csv": parse_csv,
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
}

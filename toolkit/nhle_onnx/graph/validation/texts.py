"""Names that are not valid text, or that are too long."""

from collections.abc import Iterator, Sequence

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import TensorProto, TypeProto

from nhle_onnx.graph.traversal import Fields

_MAX_NAME = 4096
_PROSE = frozenset({"doc_string", "value"})  # may be long: metadata and locations
_SHOWN = 60

Texts = Sequence[tuple[str, str | bytes]]  # each with its field


def list_texts(message: Message, fields: Fields) -> Texts:
    """List the texts in one part of a model. Protobuf gives bytes for one that is not UTF-8."""
    if isinstance(message, TensorProto):  # its fields are not listed
        entries = message.external_data
        return [
            ("name", message.name),
            ("doc_string", message.doc_string),
            *(("key", entry.key) for entry in entries),
            *(("value", entry.value) for entry in entries),
        ]
    if isinstance(message, TypeProto.Tensor):
        return [("dim_param", axis.dim_param) for axis in message.shape.dim]
    texts = ((field, value) for field, value in fields if field.type == FieldDescriptor.TYPE_STRING)
    return [
        (field.name, text)
        for field, value in texts
        for text in ([value] if isinstance(value, str | bytes) else value)
    ]


def list_text_faults(texts: Texts) -> Iterator[str]:
    """Yield what is wrong with each of the texts."""
    for field, text in texts:
        yield from _list_faults(field, text)


def count_text(texts: Texts) -> int:
    """Count the bytes that texts take in the file."""
    return sum(len(text if isinstance(text, bytes) else text.encode()) for _, text in texts)


def _list_faults(field: str, text: str | bytes) -> Iterator[str]:
    if isinstance(text, bytes):  # protobuf returns bytes for text that is not UTF-8
        yield f"has a {field} that is not UTF-8: {text[:_SHOWN]!r}"
    elif len(text) > _MAX_NAME and field not in _PROSE:
        yield f"has a {field} of {len(text):,} characters: {text[:_SHOWN]}…"

"""Names that are not valid text, or that are too long."""

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import TensorProto, TypeProto

from nhle_onnx.graph.traversal import Fields

_MAX_NAME = 4096
_PROSE = frozenset({"doc_string", "value"})  # may have any length: metadata and locations
_SHOWN = 60


def list_text_faults(message: Message, fields: Fields) -> Iterator[str]:
    """Yield what is wrong with the texts in one part of a model."""
    if isinstance(message, TensorProto):
        yield from _list_faults("name", message.name)
        for entry in message.external_data:  # a tensor's own fields are not listed
            yield from _list_faults("key", entry.key)
            yield from _list_faults("value", entry.value)
    elif isinstance(message, TypeProto.Tensor):
        for axis in message.shape.dim:
            yield from _list_faults("dim_param", axis.dim_param)
    for field, value in fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            for text in [value] if isinstance(value, str | bytes) else value:
                yield from _list_faults(field.name, text)


def _list_faults(field: str, text: str | bytes) -> Iterator[str]:
    if isinstance(text, bytes):  # protobuf returns bytes for text that is not UTF-8
        yield f"has a {field} that is not UTF-8: {text[:_SHOWN]!r}"
    elif len(text) > _MAX_NAME and field not in _PROSE:
        yield f"has a {field} of {len(text):,} characters: {text[:_SHOWN]}…"

"""The files beside a model that hold its weights, wherever in the model they are named."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from google.protobuf.message import DecodeError, Message
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import InputRefusedError

_MAX_BYTES = 2**31 - 1  # protobuf's own limit


def list_sidecars(path: Path) -> tuple[str, ...]:
    """Names of the files that hold weights of an ONNX model, relative to its folder; none for a
    file of another kind. Raises InputRefusedError for a name outside the folder.
    """
    names = dict.fromkeys(map(_read_location, _list_external(_parse(path))))
    for name in names:
        if not is_inside(name):
            message = f"{path} keeps weights in {name!r}, which lies outside its folder"
            raise InputRefusedError(message, remedy="Use a model whose files lie in one folder.")
    return tuple(PurePosixPath(name).as_posix() for name in names)


def is_inside(name: str) -> bool:
    """Whether a relative name stays in its folder on every system."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return bool(paths[0].parts) and not any(path.anchor or ".." in path.parts for path in paths)


def _parse(path: Path) -> ModelProto:
    """A model without its weights outside. An empty one for a file that is none: what a file is
    shows in its content, but whoever names it .onnx says so.
    """
    proto = ModelProto()
    try:
        if path.stat().st_size <= _MAX_BYTES:
            proto.ParseFromString(path.read_bytes())
    except DecodeError:
        proto.Clear()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise InputRefusedError(message, remedy="Give the path of a readable file.") from error
    if not proto.graph.node:
        if path.suffix.lower() == ".onnx":
            message = f"{path} is not an ONNX model, or is truncated: it cannot be parsed"
            raise InputRefusedError(message, remedy="Copy the file anew.")
        proto.Clear()
    return proto


def _list_external(message: Message) -> Iterator[TensorProto]:
    """Tensors kept outside: initializers, but also those of attributes and of graphs in them."""
    if isinstance(message, TensorProto):
        if message.data_location == TensorProto.EXTERNAL:
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from _list_external(part)


def _read_location(tensor: TensorProto) -> str:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return entries.get("location", "")

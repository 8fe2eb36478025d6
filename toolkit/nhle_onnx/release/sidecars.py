"""The files beside a model that hold its weights."""

import os
from pathlib import Path, PurePosixPath

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.external import is_external
from nhle_onnx.graph.regular_files import is_inside, open_regular
from nhle_onnx.graph.traversal import list_all_tensors

_MAX_BYTES = 2**31 - 1  # protobuf's own limit


def list_sidecars(path: Path) -> tuple[str, ...]:
    """List the files that hold weights of an ONNX model, relative to its folder. Empty for other
    files. Raises InputRefusedError for a name outside the folder.
    """
    tensors = list_all_tensors(_parse(path))
    names = dict.fromkeys(_read_location(tensor) for tensor in tensors if is_external(tensor))
    for name in names:
        if not is_inside(name):
            message = f"{path} keeps weights in {name!r}, which lies outside its folder"
            raise InputRefusedError(message, remedy="Use a model whose files lie in one folder.")
    return tuple(PurePosixPath(name).as_posix() for name in names)


def _parse(path: Path) -> ModelProto:
    """Parse a model without its external data, or return an empty one for any other file. A file is
    recognised by its content; but a file named .onnx must be a model.
    """
    proto = ModelProto()
    try:
        with open_regular(path) as stream:
            if os.fstat(stream.fileno()).st_size <= _MAX_BYTES:
                proto.ParseFromString(stream.read(_MAX_BYTES))
    except DecodeError:
        proto.Clear()
    except OSError as error:
        raise refuse_unreadable(path, error, "Give the path of a readable file.") from error
    if not proto.graph.node:
        if path.suffix.lower() == ".onnx":
            message = f"{path} is not an ONNX model, or is truncated: it cannot be parsed"
            raise InputRefusedError(message, remedy="Copy the file again.")
        proto.Clear()
    return proto


def _read_location(tensor: TensorProto) -> str:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return entries.get("location", "")

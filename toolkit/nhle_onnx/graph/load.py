"""Loading model files: read once, and refused with a reason where they are not valid."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from nhle_onnx.errors import (
    InputRefusedError,
    UnsupportedModelError,
    describe_error,
    first_line,
    refuse_unreadable,
)
from nhle_onnx.graph.external import list_places
from nhle_onnx.graph.inputs import note_model
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.graph.sidecars import Sidecar, inline_weights
from nhle_onnx.graph.skeleton import list_excesses, make_skeleton
from nhle_onnx.graph.validation import list_faults
from nhle_onnx.graph.validation.operators import list_operator_faults
from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.model import OnnxModel, Place

_MAX_BYTES = 2**31 - 1  # protobuf's own limit
_ELEMENT_BYTES = 8  # of the widest real type, double
_REMEDY = "Export the model again, or copy the file again and compare its digest."
_ORT_FORMAT = b"ORTM"


def load_model(path: Path, *, max_elements: int = MAX_ELEMENTS) -> OnnxModel:
    """Read one ONNX file, and check everything that it states.

    `max_elements` limits all weights together, and each value that the model declares or computes
    from its constants. Raises InputRefusedError for a file that is missing, unreadable, too large
    or not valid ONNX, and UnsupportedModelError for a format that cannot be edited.
    """
    content = _read(path)
    if content[4:8] == _ORT_FORMAT:
        message = f"{path} is in ONNX Runtime's own .ort format, which cannot be trained"
        raise UnsupportedModelError(message, remedy="Give the .onnx file from which it was made.")
    proto = _parse(path, content)
    _refuse_first(path, list_faults(proto, max_elements))
    _check_opset(path, proto)
    places, sidecars = _inline_weights(path, proto, max_elements)
    skeleton = make_skeleton(proto)
    _check(path, skeleton)
    _refuse_first(path, list_operator_faults(skeleton))
    _refuse_first(path, list_excesses(skeleton, max_elements))
    return OnnxModel(
        path=path,
        proto=proto,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content) + sum(sidecar.size_bytes for sidecar in sidecars.values()),
        places=places,
        sidecars={name: sidecar.sha256 for name, sidecar in sidecars.items()},
        real_names={name: sidecar.real_name for name, sidecar in sidecars.items()},
        unused_bytes=tuple(name for name, sidecar in sidecars.items() if sidecar.holds_more),
    )


def _read(path: Path) -> bytes:
    try:
        resolved = path.resolve(strict=True)
        with open_regular(resolved) as stream:
            status = os.fstat(stream.fileno())
            note_model(status)
            size = status.st_size
            is_large = size > _MAX_BYTES
            content = b"" if is_large else stream.read(size)
    except FileNotFoundError as error:
        message = f"{path} does not exist"
        raise InputRefusedError(message, remedy="Check the path of the model.") from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or an invalid name
        raise refuse_unreadable(path, error, "Give the path of a readable file.") from error
    if is_large:
        message = f"{path} is larger than 2 GiB, the limit of an ONNX file"
        raise InputRefusedError(
            message, remedy="Keep the weights of larger models in a sidecar file."
        )
    return content


def _parse(path: Path, content: bytes) -> ModelProto:
    proto = ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        message = f"{path} is not an ONNX model, or is truncated: it cannot be parsed"
        raise InputRefusedError(message, remedy=_REMEDY) from error
    if not proto.graph.node or not proto.opset_import:
        raise InputRefusedError(f"{path} is not an ONNX model: it has no graph", remedy=_REMEDY)
    return proto


def _refuse_first(path: Path, faults: Iterator[str]) -> None:
    for fault in faults:
        raise InputRefusedError(f"{path} {fault}", remedy=_REMEDY)


def _check_opset(path: Path, proto: ModelProto) -> None:
    known = onnx.defs.onnx_opset_version()
    latest = max((entry.version for entry in proto.opset_import if not entry.domain), default=0)
    if latest > known:
        message = f"{path} uses opset {latest}, which this version does not know (up to {known})"
        raise UnsupportedModelError(message, remedy="Export it for an older opset, or update onnx.")


def _inline_weights(
    path: Path, proto: ModelProto, max_elements: int
) -> tuple[dict[str, Place], dict[str, Sidecar]]:
    try:
        places = list_places(proto)
        return places, inline_weights(proto, path, _ELEMENT_BYTES * max_elements)
    except (OSError, ValueError) as error:
        message = f"{path} keeps weights in a separate file that cannot be read"
        raise InputRefusedError(
            f"{message}: {describe_error(error)}",
            remedy=(
                "Put the model's complete .data file beside it, under its original name; cp -L "
                "copies what a link leads to."
            ),
        ) from error


def _check(path: Path, skeleton: ModelProto) -> None:
    try:
        onnx.checker.check_model(skeleton)
    except onnx.checker.ValidationError as error:
        message = f"{path} is not a valid ONNX model: {first_line(error)}"
        raise InputRefusedError(message, remedy=_REMEDY) from error

"""External data: where each tensor lies in the files beside the model, and writing such files."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from onnx import ModelProto, TensorProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.values.model import Place

CHECKSUM = "checksum"
_NUMBER = re.compile(r"[0-9]{1,19}")
_SHOWN = 40  # characters of an invalid value


def is_external(tensor: TensorProto) -> bool:
    """Whether a tensor's values are stored in another file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def read_place(tensor: TensorProto) -> Place:
    """Read where an external tensor lies. Raises ValueError where that is missing or ambiguous."""
    entries = tuple((entry.key, entry.value) for entry in tensor.external_data)
    values = dict(entries)
    if len(values) < len(entries):
        raise ValueError(f"{tensor.name} states its location twice")
    return Place(
        location=values.get("location", ""),
        offset=_read_number(tensor.name, "offset", values) or 0,
        length=_read_number(tensor.name, "length", values),
        entries=entries,
    )


def _read_number(name: str, key: str, values: Mapping[str, str]) -> int | None:
    if (text := values.get(key)) is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} has the {key} {text[:_SHOWN]}, which is not a number of bytes")
    return int(text)


def make_checksum(content: bytes | bytearray = b"") -> "hashlib._Hash":
    """Return a sidecar's checksum as ONNX defines it, which detects accidents but not attacks."""
    return hashlib.sha1(content, usedforsecurity=False)


def list_places(proto: ModelProto) -> dict[str, Place]:
    """Return the place of each external initializer, by name."""
    return {
        tensor.name: read_place(tensor) for tensor in proto.graph.initializer if is_external(tensor)
    }


def name_sidecars(places: Mapping[str, Place], edited: Path) -> dict[str, Path]:
    """Name a new sidecar beside the edited model for each of the original's, by location."""
    locations = list(dict.fromkeys(place.location for place in places.values()))
    if len(locations) == 1:
        return {locations[0]: edited.with_name(f"{edited.name}.data")}
    names = [PurePosixPath(location).name for location in locations]
    return {
        location: edited.with_name(
            f"{edited.name}.{name if names.count(name) == 1 else f'{index}.{name}'}"
        )
        for index, (location, name) in enumerate(zip(locations, names, strict=True))
    }


def split_files(model: ModelProto, places: Mapping[str, Place], edited: Path) -> dict[Path, bytes]:
    """Split an edited model into files, sidecars first, with each tensor at its original offset.

    Bytes between tensors are zero: in the original, they may hold earlier weights.
    """
    sidecars = name_sidecars(places, edited)
    contents = {location: bytearray() for location in sidecars}
    split = copy_model(model)
    outside = [tensor for tensor in split.graph.initializer if tensor.name in places]
    for tensor in outside:
        place, numbers = places[tensor.name], tensor.raw_data
        content, end = contents[place.location], place.offset + len(numbers)
        content.extend(bytes(max(0, end - len(content))))
        content[place.offset : end] = numbers
    sizes = {tensor.name: len(tensor.raw_data) for tensor in outside}
    for tensor in outside:
        place = places[tensor.name]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        changed = {"location": sidecars[place.location].name}
        if place.length is not None and place.length != sizes[tensor.name]:
            changed["length"] = str(sizes[tensor.name])
        if any(key == CHECKSUM for key, _ in place.entries):
            changed[CHECKSUM] = make_checksum(contents[place.location]).hexdigest()
        for key, value in place.entries:
            tensor.external_data.add(key=key, value=changed.get(key, value))
    files = {sidecars[location]: bytes(content) for location, content in contents.items()}
    return files | {edited: split.SerializeToString(deterministic=True)}

"""Weights kept in files beside the model: where each tensor lies, and the same layout again."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import onnx
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.model import Place


def list_places(proto: ModelProto) -> dict[str, Place]:
    """The place of each initializer that is kept outside, by name."""
    places = {}
    for tensor in proto.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            entries = tuple((entry.key, entry.value) for entry in tensor.external_data)
            values = dict(entries)
            places[tensor.name] = Place(
                location=values.get("location", ""),
                offset=int(values.get("offset", "0")),
                entries=entries,
            )
    return places


def load_inline(path: Path) -> ModelProto:
    """The model with all weights inside. Refuses sidecars outside the model's folder.

    `path` must be resolved: onnx contains external data to the folder of the path it is given.
    """
    try:
        return onnx.load(str(path))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        message = f"{path} keeps weights in a separate file that cannot be read: {reason}"
        raise InputRefusedError(
            message, remedy="Put the model's .data file beside it, whole and under its own name."
        ) from error


def name_sidecars(places: Mapping[str, Place], edited: Path) -> dict[str, Path]:
    """A fresh sidecar beside the edited model for each one of the original, by location."""
    locations = list(dict.fromkeys(place.location for place in places.values()))
    if len(locations) == 1:
        return {locations[0]: edited.with_name(f"{edited.name}.data")}
    return {
        location: edited.with_name(f"{edited.stem}.{PurePosixPath(location).name}")
        for location in locations
    }


def split_files(
    model: ModelProto, places: Mapping[str, Place], original: Path, edited: Path
) -> dict[Path, bytes]:
    """The files of an edited model, sidecars first: each tensor at its original's offset.

    What a sidecar holds between tensors is kept from the original.
    """
    sidecars = name_sidecars(places, edited)
    contents = {
        location: bytearray((original.parent / location).read_bytes()) for location in sidecars
    }
    split = ModelProto()
    split.CopyFrom(model)
    for tensor in split.graph.initializer:
        place = places.get(tensor.name)
        if place is None:
            continue
        end = place.offset + len(tensor.raw_data)
        contents[place.location][place.offset : end] = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in place.entries:
            name = sidecars[place.location].name if key == "location" else value
            tensor.external_data.add(key=key, value=name)
    files = {sidecars[location]: bytes(content) for location, content in contents.items()}
    return files | {edited: split.SerializeToString(deterministic=True)}

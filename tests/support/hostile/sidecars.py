"""Models whose weights lie in other files: where those files are, and what of them is taken."""

import os
from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from support.hostile.case import Build, HostileFile, refuse, write

_NAME = "weights.bin"
Entries = dict[str, str]


def _move(tensor: TensorProto, folder: Path, name: str = _NAME) -> Entries:
    """Put a tensor's numbers at the end of a file, and say where."""
    with (folder / name).open("ab") as file:
        offset = file.tell()
        file.write(tensor.raw_data)
    return {"location": name, "offset": str(offset), "length": str(len(tensor.raw_data))}


def _point(tensor: TensorProto, entries: Entries) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def _place(changed: Entries) -> Build:
    """The first weight in a file of its own, with other entries."""

    def build(folder: Path, model: ModelProto) -> None:
        tensor = model.graph.initializer[0]
        _point(tensor, _move(tensor, folder) | changed)
        write(folder, model)

    return build


def _replace(make: Callable[[Path], None]) -> Build:
    """The file that holds the first weight is another thing."""

    def build(folder: Path, model: ModelProto) -> None:
        _place({})(folder, model)
        path = folder / _NAME
        path.rename(folder.parent / f"{folder.name}.moved")
        make(path)

    return build


def _lead_out(path: Path) -> None:
    path.symlink_to(path.parent.parent / f"{path.parent.name}.moved")


def _lead_in(path: Path) -> None:
    target = path.with_name("other.bin")
    target.write_bytes((path.parent.parent / f"{path.parent.name}.moved").read_bytes())
    path.symlink_to(target.name)


def _link_hard(path: Path) -> None:
    path.hardlink_to(path.parent.parent / f"{path.parent.name}.moved")


def _grow(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)  # sparse: takes no room


def _make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def _place_in_linked_folder(folder: Path, model: ModelProto) -> None:
    outside = folder.parent / f"{folder.name}.outside"
    outside.mkdir()
    entries = _move(model.graph.initializer[0], outside)
    (folder / "inside").symlink_to(outside)
    _point(model.graph.initializer[0], entries | {"location": f"inside/{_NAME}"})
    write(folder, model)


def _overlap(folder: Path, model: ModelProto) -> None:
    first, second = model.graph.initializer[:2]
    entries = _move(first, folder)
    _point(first, entries)
    _point(second, entries | {"offset": "4", "length": str(len(second.raw_data))})
    write(folder, model)


def _name_twice(folder: Path, model: ModelProto) -> None:
    for tensor, name in zip(model.graph.initializer[:2], (_NAME, f"./{_NAME}"), strict=True):
        _point(tensor, _move(tensor, folder) | {"location": name})
    write(folder, model)


def _say_twice(folder: Path, model: ModelProto) -> None:
    _place({})(folder, model)
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    write(folder, model)


def _cut(folder: Path, model: ModelProto) -> None:
    _place({})(folder, model)
    os.truncate(folder / _NAME, 10)


def _hide_in_constant(folder: Path, model: ModelProto) -> None:
    """A Constant's tensor: ONNX Runtime would look for it in the current folder."""
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4])
    _point(tensor, {"location": "../secret", "length": "16"})
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))
    write(folder, model)


def _keep_text_outside(folder: Path, model: ModelProto) -> None:
    tensor = TensorProto(name="t", data_type=TensorProto.STRING, dims=[1])
    (folder / _NAME).write_bytes(b"text")
    _point(tensor, {"location": _NAME})
    model.graph.initializer.append(tensor)
    write(folder, model)


def _keep_both(folder: Path, model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    _point(tensor, _move(tensor, folder))
    tensor.raw_data = content
    write(folder, model)


def _refuse_entries(name: str, tries: str, changed: Entries, says: str) -> HostileFile:
    return refuse(name, tries, _place(changed), says)


CASES: tuple[HostileFile, ...] = (
    _refuse_entries(
        "absolute", "reads any file", {"location": "/etc/passwd"}, "not in the model's"
    ),
    _refuse_entries("parent", "reads above", {"location": f"../{_NAME}"}, "not in the model's"),
    _refuse_entries("hidden parent", "reads above", {"location": f"a/../../{_NAME}"}, "not in the"),
    _refuse_entries("backslash", "reads above on Windows", {"location": "..\\x"}, "not in the"),
    _refuse_entries("drive", "reads any file on Windows", {"location": "C:\\x"}, "not in the"),
    _refuse_entries("device by name", "reads for ever", {"location": "/dev/zero"}, "not in the"),
    _refuse_entries("no name", "reads the folder", {"location": ""}, "has no name"),
    _refuse_entries("folder", "reads the folder", {"location": "."}, "separate file"),
    _refuse_entries(
        "NUL in a name", "cuts the name", {"location": f"{_NAME}\0.x"}, "separate file"
    ),
    _refuse_entries(
        "escape in a name", "writes to the terminal", {"location": "\x1b[2J"}, "separate"
    ),
    _refuse_entries(
        "long name of a file", "fails in the file system", {"location": "a" * 3000}, "separate"
    ),
    _refuse_entries("absent", "is not there", {"location": "absent.bin"}, "No such file"),
    _refuse_entries("offset past the end", "reads nothing", {"offset": "4096"}, "beyond the end"),
    _refuse_entries("offset of 2^63", "overflows", {"offset": str(2**63)}, "beyond the end"),
    _refuse_entries(
        "offset of 2^64", "wraps around", {"offset": str(2**64 + 4)}, "not a number of"
    ),
    _refuse_entries("negative offset", "reads before", {"offset": "-4"}, "not a number of bytes"),
    _refuse_entries(
        "offset in words", "is not a number", {"offset": "1_0"}, "not a number of bytes"
    ),
    _refuse_entries("length of 2^63", "takes all memory", {"length": str(2**63)}, "beyond the end"),
    _refuse_entries("negative length", "reads all", {"length": "-1"}, "not a number of bytes"),
    _refuse_entries("short length", "leaves numbers out", {"length": "4"}, "by its shape"),
    _refuse_entries("checksum", "is another file", {"checksum": "0" * 40}, "checksum"),
    refuse("symbolic link out", "reads any file", _replace(_lead_out), "symbolic link"),
    refuse("symbolic link", "is changed meanwhile", _replace(_lead_in), "symbolic link"),
    refuse("link to itself", "never ends", _replace(_make_loop), "separate file"),
    refuse("linked folder", "reads any file", _place_in_linked_folder, "symbolic link"),
    refuse("hard link", "reads any file", _replace(_link_hard), "hard links"),
    refuse("pipe", "waits for ever", _replace(os.mkfifo), "not a regular file", is_dangerous=True),
    refuse(
        "sparse file of 1 TiB", "takes all memory", _replace(_grow), "more than", is_dangerous=True
    ),
    refuse("truncated", "is shorter than claimed", _cut, "beyond the end"),
    refuse("overlap", "edits two weights as one", _overlap, "shares bytes"),
    refuse("one file by two names", "edits two weights as one", _name_twice, "two ways"),
    refuse("two locations", "shows one, reads the other", _say_twice, "its location twice"),
    refuse(
        "constant outside", "reads by the current folder", _hide_in_constant, "not in the model's"
    ),
    refuse("text outside", "has no size", _keep_text_outside, "though it is text"),
    refuse("inside and outside", "shows one, reads the other", _keep_both, "and in itself"),
)

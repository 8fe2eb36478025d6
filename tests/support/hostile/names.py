"""Names and texts that are not for people, or not for terminals."""

from pathlib import Path

from onnx import ModelProto

from support.hostile.case import INSPECT, MASK, MODEL, Attempt, Build, HostileFile, change, refuse

_ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\n\x00remedy: run this"
_WIDE = "x" * 34_000_000 + "\U0001f600"
_JSON = (*INSPECT, "--json")
_DIFF = ("diff", f"{{folder}}/{MODEL}", f"{{folder}}/{MODEL}")
_HARMLESS = (0, 1, 6)


@change
def _rename(model: ModelProto, old: str, new: str) -> None:
    """Another name for a value, wherever it is used."""
    for tensor in model.graph.initializer:
        tensor.name = new if tensor.name == old else tensor.name
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


@change
def _name_nodes(model: ModelProto, name: str) -> None:
    for index, node in enumerate(model.graph.node):
        node.name = f"{name}{index}"


@change
def _add_metadata(model: ModelProto, key: str, value: str) -> None:
    model.metadata_props.add(key=key, value=value)


@change
def _fill_descriptions(model: ModelProto) -> None:
    model.doc_string = model.graph.doc_string = "x" * 50_000_000


@change
def _describe_weight(model: ModelProto) -> None:
    model.graph.initializer[0].doc_string = "x" * 50_000_000


@change
def _use_escapes_as_operator(model: ModelProto) -> None:
    model.graph.node[1].op_type = _ESCAPES


def _break_text(folder: Path, model: ModelProto) -> None:
    name = model.graph.initializer[0].name.encode()
    content = model.SerializeToString().replace(name, b"\xff\xfe" + name[2:])
    (folder / MODEL).write_bytes(content)


def _take(name: str, tries: str, build: Build, *commands: tuple[str, ...]) -> HostileFile:
    """A file that nothing speaks against but its looks, which nobody gets to see."""
    attempts = tuple(Attempt(command=each, codes=_HARMLESS) for each in commands)
    return HostileFile(name=name, tries=tries, build=build, attempts=attempts)


CASES: tuple[HostileFile, ...] = (
    _take(
        "escapes in a weight",
        "writes to the terminal",
        _rename("classifier.weight", _ESCAPES),
        INSPECT,
        _JSON,
        MASK,
        _DIFF,
    ),
    _take(
        "escapes in the input", "writes to the terminal", _rename("image", _ESCAPES), INSPECT, MASK
    ),
    _take(
        "escapes in the output",
        "writes to the terminal",
        _rename("logits", _ESCAPES),
        INSPECT,
        _JSON,
        MASK,
    ),
    _take("escapes in nodes", "writes to the terminal", _name_nodes(_ESCAPES), INSPECT, MASK),
    _take("markup in nodes", "colours the terminal", _name_nodes("[red]x[/]"), INSPECT, MASK),
    _take(
        "escapes in metadata", "writes to the terminal", _add_metadata(_ESCAPES, _ESCAPES), INSPECT
    ),
    refuse("metadata of 100 MB", "is printed", _add_metadata("k", "x" * 100_000_000), "metadata"),
    refuse("descriptions of 100 MB", "is printed", _fill_descriptions(), "descriptions"),
    refuse("description of a weight", "is copied", _describe_weight(), "descriptions"),
    refuse("wide characters", "takes four times its size", _add_metadata("k", _WIDE), "metadata"),
    refuse(
        "escapes as an operator",
        "writes to the terminal",
        _use_escapes_as_operator(),
        "model.onnx",
    ),
    refuse("long name", "is printed", _rename("image", "a" * 5000), "5,000 characters"),
    refuse("name that is not text", "is taken for bytes", _break_text, "not UTF-8"),
    HostileFile(
        name="deep JSON in metadata",
        tries="overflows the stack",
        build=_add_metadata("preprocessor_config", "[" * 100_000),
        attempts=(
            Attempt(command=INSPECT, codes=(0,), says="preprocessor_config"),
            Attempt(command=MASK, says="preprocessor_config"),
        ),
    ),
)

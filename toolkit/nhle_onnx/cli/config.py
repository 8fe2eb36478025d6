"""Settings of a command, read from a TOML file and saved to one."""

import functools
import json
import os
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from nhle_onnx.cli.groups import GroupedOption, grouped_option, list_names, note_new_name
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.log import LOG_FILE
from nhle_onnx.errors import InputRefusedError, UsageError, describe_error
from nhle_onnx.text import suggest, to_line
from nhle_onnx.values.settings.groups import Group

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_PATH = FilePath(path_type=Path)
_OURS = frozenset({"config", "save_config"})
_TRANSIENT = _OURS | {"log_file", "dry_run", "force"}
_WORDS = frozenset({"auto", "off"})
_ESCAPED = {ord("\x7f"): "\\u007f"}  # which JSON allows in a string, and TOML does not


def configurable(function: Decorated) -> Decorated:
    """Give a command --config, --save-config and --log-file."""

    @functools.wraps(function)
    def configured(*arguments: Any, save_config: Path | None, **values: Any) -> Any:
        context = click.get_current_context()
        if save_config is None:
            return function(*arguments, **values)
        _check_free(context, save_config)
        result = function(*arguments, **values)
        _save(context, save_config)
        return result

    for option in reversed((_CONFIG, _SAVE_CONFIG, LOG_FILE)):
        configured = option(configured)
    return cast("Decorated", configured)


def parse_toml(path: Path, remedy: str) -> dict[str, Any]:
    """Parse a TOML file. Raises UsageError."""
    from nhle_onnx.graph.toml_files import read_toml

    try:
        return read_toml(path)
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as TOML: {describe_error(error)}"
        raise UsageError(message, remedy=remedy) from error


def make_defaults(
    where: str,
    command: click.Command,
    table: Mapping[str, Any],
    folder: Path,
    without: Container[str] = _OURS,
) -> dict[str, Any]:
    """Turn a table with flag names as keys into the command's defaults, by parameter.

    Paths are relative to `folder`. Raises UsageError, which begins with `where`, for parameters in
    `without`, too.
    """
    items = {
        name: item
        for item in command.params
        if item.name and item.name not in without
        for name in _list_keys(item)
    }
    defaults = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in items:
            message = f"{where}: {to_line(key)} is not a setting here"
            known = ", ".join(sorted(items))
            raise UsageError(message, remedy=f"{suggest(name, items)}It may have {known}.")
        item = items[name]
        if isinstance(item, GroupedOption) and f"--{name}" == item.old:
            note_new_name(f"{where}: {key}", _name_key(item))
        defaults[str(item.name)] = _convert(f"{where}: {to_line(key)}", item, value, folder)
    return defaults


def _list_keys(item: click.Parameter) -> list[str]:
    """List the keys that stand for a parameter: its flags, without those of one letter."""
    return [name.lstrip("-") for name in list_names(item) if len(name.lstrip("-")) > 1]


def _name_key(item: click.Parameter) -> str:
    return max((name.lstrip("-") for name in item.opts), key=len)


def _convert(where: str, item: click.Parameter, value: object, folder: Path) -> object:
    """Convert a TOML value to what the command line would hold."""
    values = value if isinstance(value, list) else [value]
    is_flag = isinstance(item, click.Option) and item.is_flag
    if any(isinstance(each, dict | list) or isinstance(each, bool) != is_flag for each in values):
        raise UsageError(f"{where} cannot be {_name(value)}", remedy="See the command's --help.")
    texts = [_place(str(each), folder) if _is_place(item) else each for each in values]
    if item.multiple if isinstance(item, click.Option) else item.nargs != 1:
        return [str(text) for text in texts]
    return texts if isinstance(value, list) else texts[0]


def _name(value: object) -> str:
    kinds = {dict: "a table", list: "a list of these", bool: "true or false"}
    return kinds.get(type(value), repr(value))


def _is_place(item: click.Parameter) -> bool:
    return isinstance(item.type, click.Path) or getattr(item, "is_place", False)


def _place(text: str, folder: Path) -> str:
    """Return a word unchanged, and a path that is relative to `folder` as one from here."""
    if not text or _is_word(text):
        return text
    return str(folder / Path(text).expanduser())


def _is_word(text: str) -> bool:
    from nhle_onnx.values.preprocess import PRESET_NAMES

    return text in _WORDS or text in PRESET_NAMES


def read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """Take a command's defaults from a file; flags override them."""
    if path is not None:
        table = parse_toml(path, "Give a TOML file with the flags' names as keys.")
        context.default_map = make_defaults(str(path), context.command, table, path.parent)


def _check_free(context: click.Context, path: Path) -> None:
    """Refuse a file that exists; with --force, one that is another path of this command."""
    from nhle_onnx.graph.save import check_writable

    others = {value for name, value in context.params.items() if name != "save_config"}
    if path.exists() and not context.params.get("force"):
        raise InputRefusedError(
            f"{path} already exists", remedy="Give the saved settings another name."
        )
    if path.resolve() in {other.resolve() for other in others if isinstance(other, Path)}:
        message = f"{path} is to hold the settings, and is another path of this command as well"
        raise UsageError(message, remedy="Give the saved settings another name.")
    check_writable(path, force=True)


def _save(context: click.Context, path: Path) -> None:
    """Write what was given, on the command line or in a file, with what each setting means."""
    from nhle_onnx.graph.save import write_files

    head = (
        f"# Settings of `{context.command_path} --config {to_line(path.name)}`. "
        "Paths are relative to this file.\n"
    )
    text = "\n".join([head, *_render(context, path.parent)])
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        message = f"{path} cannot hold a path that is not text"
        raise InputRefusedError(message, remedy="Give the files other names.") from error
    write_files({path: content}, force=bool(context.params.get("force")))


def _render(context: click.Context, folder: Path) -> Iterator[str]:
    for item in context.command.params:
        source = context.get_parameter_source(item.name or "")
        if item.name in _TRANSIENT or source in {None, ParameterSource.DEFAULT}:
            continue
        meaning = getattr(item, "help", "") or ""
        comment = f"# {meaning}\n" if meaning else ""
        value = _write(item, context.params[item.name or ""], folder)
        yield f"{comment}{_name_key(item)} = {value}\n"


def _write(item: click.Parameter, value: Any, folder: Path) -> str:
    """Write a value as TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_write(item, each, folder) for each in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = "auto" if value is None else str(value)
    if _is_place(item) and not _is_word(text):
        text = _relate(text, folder)
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPED)


def _relate(text: str, folder: Path) -> str:
    """Return a path relative to `folder`, unless it is absolute."""
    if Path(text).is_absolute():
        return text
    relative = os.path.relpath(text, folder)
    return f"./{relative}" if _is_word(relative) else relative


_CONFIG = grouped_option(
    "--config",
    group=Group.GENERAL,
    type=_PATH,
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help="TOML file with the flags' names as keys; flags override it.",
)
_SAVE_CONFIG = grouped_option(
    "--save-config",
    group=Group.GENERAL,
    type=_PATH,
    help="Save the settings of this run to a TOML file for --config.",
)

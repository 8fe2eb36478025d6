"""The commands by name, each imported only when it is used, so that no command waits for others."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

# purposes, and the commands for each, with their modules
_KINDS = {
    "Make a model forget": {"inspect": "inspect", "unlearn": "unlearn", "fleet": "fleet"},
    "Check what it knows": {"verify": "verify", "audit": "audit", "diff": "diff", "view": "view"},
    "Ship it": {
        "patch": "patch",
        "sign": "sign",
        "check-signature": "sign",
        "kit": "kit",
        "push": "push",
        "dossier": "dossier",
    },
    "This machine": {"doctor": "doctor"},
}
_MODULES = {name: module for commands in _KINDS.values() for name, module in commands.items()}


class Commands(MutableMapping[str, click.Command]):
    """A mapping of all commands; more can be added, as to any click group."""

    def __init__(self) -> None:
        self._added: dict[str, click.Command] = {}

    def list_kinds(self) -> dict[str, list[str]]:
        """List the commands by what they are for, in the usual order of use."""
        kinds = {kind: list(commands) for kind, commands in _KINDS.items()}
        others = [name for name in self._added if name not in _MODULES]
        return kinds | ({"Others": others} if others else {})

    def __getitem__(self, name: str) -> click.Command:
        """Return a command by name. Raises KeyError for an unknown name."""
        if name in self._added:
            return self._added[name]
        module = import_module(f"nhle_onnx.cli.{_MODULES[name]}")
        command: click.Command = getattr(module, f"{name.replace('-', '_')}_command")
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        """Add or replace a command."""
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        """Remove an added command."""
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(_MODULES | self._added)

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(_MODULES | self._added)

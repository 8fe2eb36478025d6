"""The commands by name, each imported when it is asked for: no command waits for the others."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

_MODULES = {
    "inspect": "inspect",
    "unlearn": "unlearn",
    "verify": "verify",
    "audit": "audit",
    "diff": "diff",
    "patch": "patch",
    "sign": "sign",
    "check-signature": "sign",
    "kit": "kit",
    "fleet": "fleet",
    "doctor": "doctor",
}


class Commands(MutableMapping[str, click.Command]):
    """All of them, and those that are added as to any of click's groups."""

    def __init__(self) -> None:
        self._added: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        """The command of a name. Raises KeyError where there is none."""
        if name in self._added:
            return self._added[name]
        module = import_module(f"nhle_onnx.cli.{_MODULES[name]}")
        command: click.Command = getattr(module, f"{name.replace('-', '_')}_command")
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        """Add a command, or put it in another's place."""
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        """Take away what was added."""
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(_MODULES | self._added)

    def __len__(self) -> int:
        """How many there are."""
        return len(_MODULES | self._added)

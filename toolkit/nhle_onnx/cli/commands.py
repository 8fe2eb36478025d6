"""The commands by name, each imported only when it is used, so that no command waits for others."""

import inspect
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import NamedTuple

import click

_SENTENCE = ". "


class Entry(NamedTuple):
    """A command's module, and the first sentence of its help: to list all, none is imported."""

    module: str
    summary: str


# purposes, and the commands for each
_KINDS = {
    "Make a model forget": {
        "inspect": Entry("inspect", "Describe MODEL, and what `unlearn` can do with it"),
        "unlearn": Entry("unlearn", "Make MODEL forget a class, and write it with a report"),
        "fleet": Entry("fleet", "Make many models forget, with a report for each"),
    },
    "Check what it knows": {
        "verify": Entry("verify", "Measure what MODEL still knows about forgotten classes"),
        "audit": Entry("audit", "Attack MODEL as anyone with the file could"),
        "diff": Entry("diff", "Show every difference between A and B"),
        "view": Entry("view", "Look at reports in a browser, and compare them"),
    },
    "Ship it": {
        "patch": Entry("patch", "Ship an edited model as a small file"),
        "sign": Entry("sign", "Sign a model, its patch and its report together"),
        "check-signature": Entry("sign", "Check that files are unchanged since they were signed"),
        "kit": Entry("kit", "Pack MODEL with images to check it on a device"),
        "push": Entry("push", "Push an edited MODEL with a model card to a registry"),
        "dossier": Entry("dossier", "Bind a request to all that shows how it was fulfilled"),
    },
    "This machine": {
        "doctor": Entry("doctor", "Show which providers and devices work on this machine"),
    },
}
_ENTRIES = {name: entry for entries in _KINDS.values() for name, entry in entries.items()}


def summarize(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    text = " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split())
    return text.partition(_SENTENCE)[0].rstrip(".")


class Commands(MutableMapping[str, click.Command]):
    """A mapping of all commands; more can be added, as to any click group."""

    def __init__(self) -> None:
        self._added: dict[str, click.Command] = {}

    def list_kinds(self) -> dict[str, list[str]]:
        """List the commands by what they are for, in the usual order of use."""
        kinds = {kind: list(commands) for kind, commands in _KINDS.items()}
        others = [name for name in self._added if name not in _ENTRIES]
        return kinds | ({"Others": others} if others else {})

    def summarize(self, name: str) -> str:
        """Return the first sentence of a command's help."""
        if name in _ENTRIES and name not in self._added:
            return _ENTRIES[name].summary
        return summarize(self[name])

    def __getitem__(self, name: str) -> click.Command:
        """Return a command by name. Raises KeyError for an unknown name."""
        if name in self._added:
            return self._added[name]
        module = import_module(f"nhle_onnx.cli.{_ENTRIES[name].module}")
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
        return iter(_ENTRIES | self._added)

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(_ENTRIES | self._added)

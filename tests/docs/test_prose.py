"""Prose is plain English that needs no second reading: what nobody should write, and what instead.

The rules are those of docs/decisions/0016 and 0025. They hold for README, the documents, models'
cards, the help, and every text in the program, the studies and the tools: messages, pages,
docstrings. (vale would read the same rules, but
its package downloads a program from elsewhere.)
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from nhle_onnx.cli.main import cli
from support import ROOT

INSTEAD = {
    r"\b(that|which|what) (is|are) none\b": "say what it is",
    r"\bwhat is no\b": "say what it is",
    r"\bof which\b(?! (one|the last|shared))": "two sentences",
    r"\b(find|found|known?|knows?|recognised?|there) [^.]{0,40}\bno more\b(?! than)": "no longer",
    r"\b(is|are|was|were) (answered|got) right\b": "accuracy, or correct",
    r"\bthe share that is\b": "accuracy, or the share of",
    r"\bin the features no more\b": "no longer in the features",
    r"\bthe same holds? for\b.*\bno\b": "two sentences",
    r"\bit is to be noted\b": "leave it out",
    r"\bplease note\b": "leave it out",
    r"\bin order to\b": "to",
    r"\butili[sz]e": "use",
    r"\b(simply|obviously|of course)\b": "leave it out",
    r"\bhereby\b|\btherein\b|\bthereof\b|\bwherein\b": "here, in it, of it, in which",
    r"\bprior to\b": "before",
    r"\bperform(s|ed)? (a|an|the) ": "the verb itself",
    r"\bcan not\b": "cannot",
    r"\d%(?!d)": "a space before %",
    r"\bMETHOD §|\bADR \d": "the page's or the decision's own name",
    r"\bas can be seen\b|\bit should be noted\b": "leave it out",
    r"\bdue to the fact that\b": "because",
}
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "models").rglob("*.md")),
]
SOURCES = [
    path
    for folder in ("toolkit", "models", "integrations")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def read_prose(page: Path) -> Iterator[str]:
    """Paragraphs of a document, without code and without what a program printed."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"^\|.*CUDA out of memory.*$", "", text, flags=re.MULTILINE)  # CUDA's words
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)|^ {4}.*$", "", text, flags=re.MULTILINE)
    yield from (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


def read_texts(source: Path) -> Iterator[str]:
    """Every text in a module that has several words; what a program puts between is left out."""
    nodes = list(ast.walk(ast.parse(source.read_text("utf-8"))))
    formats = {id(node.format_spec) for node in nodes if isinstance(node, ast.FormattedValue)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr) and id(node) not in formats:
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            yield " ".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield " ".join(node.value.split())


def read_formats(source: Path) -> Iterator[str]:
    """How each text in a module formats its figures."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            yield ast.unparse(node.format_spec)


def read_help(command: click.Command) -> Iterator[str]:
    yield command.help or ""
    yield from (item.help or "" for item in command.params if isinstance(item, click.Option))
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        yield from read_help(child)


def find_faults(texts: Iterator[str]) -> list[str]:
    return [
        f"{found[0]!r}: write {instead}, in: {text[:160]}"
        for text in texts
        for pattern, instead in INSTEAD.items()
        if (found := re.search(pattern, text, re.IGNORECASE))
    ]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_documents_read_well(page: Path) -> None:
    assert find_faults(read_prose(page)) == []


def test_messages_and_docstrings_read_well() -> None:
    faults = [
        f"{path.name}: {fault}" for path in SOURCES for fault in find_faults(read_texts(path))
    ]
    assert faults == []


def test_messages_write_percent_with_a_space() -> None:
    for source in SOURCES:
        assert not [form for form in read_formats(source) if form.rstrip("'\"").endswith("%")], (
            source
        )


def test_help_reads_well() -> None:
    assert find_faults(read_help(cli)) == []


@pytest.mark.parametrize(
    "text",
    [
        "a stream that is none", "Products of what is no quantized tensor", "three, of which two",
        "it finds the class in the features no more", "images that are answered right",
        "the share that is right", "performs a check", "at most 5% of it",
    ],
)  # fmt: skip
def test_a_bad_sentence_is_found(text: str) -> None:
    assert find_faults(iter([text]))

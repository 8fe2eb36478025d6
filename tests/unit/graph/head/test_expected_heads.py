"""Every field of what is read of a head, as a person last read them through."""

from support.expected import FOLDER
from support.expected.heads import HEADS


def test_a_head_is_read_as_it_was() -> None:
    lines = (FOLDER / "graph" / "heads.txt").read_text("utf-8").splitlines()
    expected = dict(line.split(": ", 1) for line in lines)
    assert len(expected) > 100
    assert {name: HEADS[name]() for name in expected} == expected

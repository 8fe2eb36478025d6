"""Texts that were read through once, in a file each: none of their words changes unnoticed.

Where a change is meant, `python -m support.expected` writes them anew; read the difference before
it is committed.
"""

from support import TESTS

FOLDER = TESTS / "files" / "expected"

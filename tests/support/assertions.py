"""What every refusal has to say."""

import re

from nhle_onnx.errors import NhleOnnxError


def assert_told(error: NhleOnnxError, *fragments: object) -> None:
    """The reason says all of these, in words; the remedy is a sentence, or several."""
    for fragment in fragments:
        assert str(fragment) in error.reason
    assert not re.search(r"\bXX|XX\b|\bNone\b", error.reason)
    assert re.fullmatch(r"[A-Z][a-z]* .+\.", error.remedy), error.remedy

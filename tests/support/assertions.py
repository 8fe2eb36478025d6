"""What every refusal has to say."""

import re
from collections.abc import Callable

import pytest

from nhle_onnx.errors import InputRefusedError, NhleOnnxError
from support.runs import Result


def assert_told(error: NhleOnnxError, *fragments: object) -> None:
    """The reason says all of these, in words; the remedy is a sentence, or several."""
    for fragment in fragments:
        assert str(fragment) in error.reason
    assert not re.search(r"\bXX|XX\b|\bNone\b", error.reason)
    assert re.fullmatch(r"[A-Z][a-z]* .+\.", error.remedy), error.remedy


def assert_refuses(action: Callable[[], object], *fragments: object) -> InputRefusedError:
    """The action refuses its input, and says all of these."""
    with pytest.raises(InputRefusedError) as caught:
        action()
    assert_told(caught.value, *fragments)
    return caught.value


def assert_refused(result: Result, code: int, *fragments: str) -> None:
    """One error that says all of these, with a remedy where it is not click's; and no traceback."""
    assert result.code == code, result.err
    errors, usage = result.err.count("error:"), result.err.count("Error:")
    assert errors + usage == 1, result.err
    assert usage or "remedy:" in result.err
    assert "Traceback" not in result.err
    for fragment in fragments:
        assert fragment in result.err

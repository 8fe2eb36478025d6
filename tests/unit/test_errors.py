import pytest
import torch

from nhle_onnx.errors import DeviceUnavailableError, first_line
from nhle_onnx.training.device import explain_device_faults


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\n the reason\nand the details")) == "the reason"
    assert first_line(ValueError(" \n")) == "ValueError"


def test_an_error_without_text_is_named() -> None:
    with (
        pytest.raises(DeviceUnavailableError, match=r"on the device: OutOfMemoryError$"),
        explain_device_faults(),
    ):
        raise torch.OutOfMemoryError

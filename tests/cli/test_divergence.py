"""A model whose trainable form is wrong is refused, and the message names the first wrong node."""

from pathlib import Path

import pytest
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.ops import activation
from support.runs import Nhle
from support.shipped import LENET


def test_first_departing_node_is_named(
    tmp_path: Path, nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(node: object, x: Tensor) -> Tensor:
        del node
        return functional.leaky_relu(x, 0.1)

    monkeypatch.setattr(activation, "relu", leaky)
    result = nhle("unlearn", LENET, "--forget", 3, "--out", tmp_path / "o.onnx")
    assert result.code == 4
    assert "first at Relu /features/features.1/Relu" in result.err
    assert list(tmp_path.iterdir()) == []

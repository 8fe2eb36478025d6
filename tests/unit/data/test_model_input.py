"""The size of an input that the graph leaves open, from what lies beside the model."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from nhle_onnx.data.model_input import find_input
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.settings.model import ModelFlags
from support.graphs import make_model, make_node

VIT, CLIP = ({"image_processor_type": f"{name}ImageProcessor"} for name in ("ViT", "CLIP"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nodes = [make_node("GlobalAveragePool", "x", "p"), make_node("Flatten", "p")]
    onnx.save(make_model(nodes, {"x": ["n", 3, "h", "w"]}, {"y": ["n", 3]}), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def find(model: Path, name: str, content: dict[str, Any]) -> tuple[int, int]:
    model.with_name(name).write_text(json.dumps(content))
    found = find_input(load_model(model), ModelFlags())
    return found.height, found.width


@pytest.mark.parametrize(
    ("name", "content", "size"),
    [
        ("config.json", {"image_size": 24}, (24, 24)),
        ("config.json", {"image_size": [24, 32]}, (24, 32)),
        ("config.json", {"image_size": {"height": 24, "width": 32}}, (24, 32)),
        ("preprocessor_config.json", {"size": {"height": 24, "width": 32}, **VIT}, (24, 32)),
        (
            "preprocessor_config.json",
            {"size": {"shortest_edge": 24}, "do_center_crop": False, **CLIP},
            (24, 24),
        ),
    ],
)
def test_a_size_is_found(
    name: str, content: dict[str, Any], size: tuple[int, int], model: Path
) -> None:
    assert find(model, name, content) == size


@pytest.mark.parametrize(
    "size", [[24], [24, 24, 3], {"height": 24}, {"edge": 24}, "24", 0, -24, 2**31, None, 24.5, True]
)
def test_no_size_is_guessed(size: object, model: Path) -> None:
    with pytest.raises(NhleOnnxError, match="open"):
        find(model, "config.json", {"image_size": size})

"""The same patch is the same bytes each time."""

from pathlib import Path

import pytest

from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.patch_create import create_patch
from support.runs import Unlearned
from support.shipped import LENET


@pytest.fixture
def patches(tmp_path: Path, unlearned_lenet: Unlearned) -> list[Path]:
    """Often enough that two keys in a random order would show."""
    made = [tmp_path / f"{index}.nhlepatch" for index in range(8)]
    for path in made:
        create_patch(CreateSettings(base=LENET, edited=unlearned_lenet.edited, out=path))
    return made


def test_the_same_patch_is_the_same_bytes(patches: list[Path]) -> None:
    assert len({path.read_bytes() for path in patches}) == 1
    assert open_patch(patches[0]).manifest.result[0].name == "edited.onnx"

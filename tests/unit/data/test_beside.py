"""What describes a model may lie one folder up, as in repositories of Hugging Face."""

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from nhle_onnx.data.beside import find_beside
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

NAMES = ("preprocessor_config.json", "config.json")
LABELS = ["a", "b", "c", "dress", *"efghij"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with open axes, its labels and preprocessing above the folder of its model."""
    folder = tmp_path / "repository"
    (folder / "onnx").mkdir(parents=True)
    model = onnx.load(LENET)
    for value in (*model.graph.input, *model.graph.output):
        axes = [axis.dim_param or "open" for axis in value.type.tensor_type.shape.dim]
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, axes))
    onnx.save(model, folder / "onnx" / "model.onnx")
    shutil.copy(LENET.with_name(NAMES[0]), folder)
    known = {"id2label": dict(enumerate(LABELS)), "model_type": "x", "image_size": 28}
    (folder / NAMES[1]).write_text(json.dumps(known))
    return folder


def link(repository: Path) -> Path:
    """The repository in a cache of downloads: every file is a link to one named by its content."""
    snapshot = repository.parent / "snapshots" / "1"
    for number, path in enumerate(sorted(repository.rglob("*.*"))):
        blob = repository.parent / "blobs" / str(number)
        blob.parent.mkdir(exist_ok=True)
        shutil.move(path, blob)
        linked = snapshot / path.relative_to(repository)
        linked.parent.mkdir(parents=True, exist_ok=True)
        linked.symlink_to(os.path.relpath(blob, linked.parent))
    return snapshot


@pytest.mark.parametrize("is_cache", [False, True])
def test_a_model_in_a_folder_of_a_repository_is_described_above_it(
    is_cache: bool,  # noqa: FBT001 - a parameter
    repository: Path,
    nhle: Nhle,
) -> None:
    folder = link(repository) if is_cache else repository
    path = folder / "onnx" / "model.onnx"
    assert "can use nhle-cwm, nhle, cwm" in nhle("inspect", path).out
    told = nhle("verify", path, "--forget", "dress", "--data", EVALUATION, "--json")
    assert json.loads(told.out)["after"]["acc_r"] > 0.9


@pytest.mark.parametrize("place", ["onnx", ".", "../onnx"])
def test_the_folder_is_known_from_wherever_it_is_named(
    place: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository if place == "onnx" else repository / "onnx")
    found = [*find_beside(Path(place) / "model.onnx", NAMES)]
    assert [path.resolve() for path in found] == [repository / name for name in NAMES]


def test_what_lies_beside_comes_first(repository: Path) -> None:
    near = repository / "onnx" / NAMES[1]
    near.write_text("{}")
    assert next(find_beside(near.with_name("model.onnx"), NAMES)) == near


def test_nothing_is_read_above_any_other_folder(repository: Path) -> None:
    other = (repository / "onnx").rename(repository / "other")
    assert [*find_beside(other / "model.onnx", NAMES)] == []

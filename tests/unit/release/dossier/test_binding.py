"""Files of a case against the documents that are about them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from nhle_onnx.release.dossier.binding import Statement, bind_absent, bind_file
from nhle_onnx.values.dossier import BoundFile
from support.assertions import assert_refuses
from support.graphs import make_model, make_node, place_outside


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with its weights in two other files."""
    weights = np.zeros(2, np.float32)
    tensors = [
        place_outside(numpy_helper.from_array(weights, name), location=f"{name}.bin")
        for name in ("w", "v")
    ]
    path = tmp_path / "m.onnx"
    path.write_bytes(make_model([make_node("Relu", "x")], {}, {}, tensors).SerializeToString())
    (tmp_path / "w.bin").write_bytes(b"weights")
    (tmp_path / "v.bin").write_bytes(b"v")
    return path


def state(path: Path, **changes: object) -> Statement:
    sidecars = {"v.bin": digest(b"v"), "w.bin": digest(b"weights")}
    fields = {"source": "unlearn", "sha256": digest(path.read_bytes()), "sidecars": sidecars}
    return Statement(**(fields | changes))  # type: ignore[arg-type] # changed fields


def test_a_file_is_bound_with_its_weights(model: Path) -> None:
    said = state(model)
    bound = bind_file("edited", model, (said, state(model, source="audit")))
    assert bound == BoundFile(
        role="edited", name="m.onnx", sha256=said.sha256,
        size_bytes=len(model.read_bytes()) + len(b"weights") + 1, sidecars={**said.sidecars},
        confirmed_by=("unlearn", "audit"),
    )  # fmt: skip
    assert list(bound.sidecars) == ["v.bin", "w.bin"]
    assert bind_file("edited", model, ()).confirmed_by == ()


def test_a_file_that_a_document_is_not_about_is_refused(model: Path) -> None:
    right, other = state(model), state(model, source="audit", sha256="0" * 64)
    error = assert_refuses(
        lambda: bind_file("edited", model, (right, other)),
        f"{model} is not the edited that audit is about: SHA-256 {right.sha256}, not {'0' * 64}",
    )
    assert error.remedy == "Give the file and the report that belong together."
    error = assert_refuses(
        lambda: bind_file("edited", model, (state(model, sidecars={}),)),
        f"the weights beside {model} are not those that unlearn is about",
    )
    assert error.remedy == "Give the file and the report that belong together."


@pytest.mark.parametrize("name", ["m.onnx", "w.bin"])
def test_a_file_that_is_not_there_is_named(name: str, model: Path) -> None:
    (model.parent / name).unlink()
    assert_refuses(
        lambda: bind_file("edited", model, ()),
        f"{model.parent / name} cannot be read: No such file",
    )


def test_the_file_of_weights_that_cannot_be_read_has_a_remedy(model: Path) -> None:
    (model.parent / "w.bin").unlink()
    error = assert_refuses(lambda: bind_file("edited", model, ()))
    assert error.remedy == "Check the path in the case."


def test_a_file_that_is_gone_is_as_all_documents_state_it(model: Path) -> None:
    said = (state(model), state(model, source="audit"))
    assert bind_absent("original", "some/where/m.onnx", said) == BoundFile(
        role="original", name="m.onnx", sha256=said[0].sha256, size_bytes=None,
        sidecars={**said[0].sidecars}, confirmed_by=("unlearn", "audit"),
    )  # fmt: skip


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"sidecars": {}}])
def test_documents_about_different_files_that_are_gone(
    changes: dict[str, object], model: Path
) -> None:
    said = (state(model), state(model, source="audit", **changes))
    error = assert_refuses(
        lambda: bind_absent("original", "m.onnx", said),
        "unlearn and audit name different original models",
    )
    assert error.remedy == "Give reports about the same models."

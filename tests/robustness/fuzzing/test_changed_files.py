"""Changed files of every kind are refused or taken, and never crash a reader. Short, and the same
each time: `python -m tools hostile` and `python -m tools.guided` look longer.
"""

import json
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from support.fuzzing import octets
from support.fuzzing.models import make_model
from support.fuzzing.patches import change_json, make_patch
from support.fuzzing.readers import READERS, read_stranger
from support.fuzzing.small_files import SMALL_FILES
from support.runs import Nhle
from support.shipped import LENET, MOBILENET_INT8

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").rglob("*") if path.is_file())
DOCUMENTS = ["config.json", "preprocessor_config.json"]
CHANCES = st.integers(0, 2**32).map(Random)


def take_examples(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_crashed_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    """Each folder of the corpus is named after the reader that its files crashed."""
    read_stranger(path.read_bytes(), path.parent.name, tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_good_files_are_read(name: str, tmp_path: Path) -> None:
    assert read_stranger(SMALL_FILES[name](), name, tmp_path)


@take_examples(100)
@given(chance=CHANCES, is_small=st.booleans())
def test_changed_models_crash_no_reader(chance: Random, is_small: bool, tmp_path: Path) -> None:  # noqa: FBT001
    start = SMALL_FILES["model.onnx"]() if is_small else LENET.read_bytes()
    read_stranger(make_model(start, [LENET.read_bytes()], chance), "model.onnx", tmp_path)


@take_examples(150)
@given(chance=CHANCES)
def test_changed_patches_crash_no_reader(chance: Random, tmp_path: Path) -> None:
    content = make_patch(SMALL_FILES["p.nhlepatch"](), chance)
    read_stranger(content, "p.nhlepatch", tmp_path)


@take_examples(300)
@given(chance=CHANCES, name=st.sampled_from(DOCUMENTS))
def test_changed_documents_crash_no_reader(chance: Random, name: str, tmp_path: Path) -> None:
    document = json.loads(SMALL_FILES[name]())
    for _ in range(chance.choice((1, 1, 3))):
        change_json(document, chance)
    read_stranger(json.dumps(document).encode(), name, tmp_path)


@take_examples(300)
@given(chance=CHANCES, name=st.sampled_from(sorted(READERS)))
def test_changed_bytes_crash_no_reader(chance: Random, name: str, tmp_path: Path) -> None:
    content = SMALL_FILES[name]()
    for _ in range(chance.choice((1, 1, 4))):
        content = chance.choice(octets.EDITS)(content, chance)
    read_stranger(content, name, tmp_path)


def test_a_sparse_head_is_named_and_refused(tmp_path: Path, nhle: Nhle) -> None:
    model = onnx.load(LENET)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "classifier.weight")
    values = numpy_helper.from_array(np.ones(1, np.float32), weight.name)
    indices = numpy_helper.from_array(np.array([7], np.int64))
    sparse = onnx.SparseTensorProto(dims=weight.dims, values=values, indices=indices)
    model.graph.sparse_initializer.append(sparse)
    model.graph.initializer.remove(weight)
    onnx.save(model, tmp_path / "model.onnx")
    result = nhle("inspect", tmp_path / "model.onnx")
    assert result.code == 0
    assert "classifier.weight, which is sparse" in result.out
    assert nhle("unlearn", tmp_path / "model.onnx", "--forget", "3", "--method", "cwm").code == 4


def test_nothing_but_a_document_on_stdout(tmp_path: Path, nhle: Nhle) -> None:
    """The library that reads the graph prints what it thinks of numbers of 8 bits."""
    model = onnx.load(LENET)
    tensor = onnx.TensorProto(name="t", data_type=onnx.TensorProto.FLOAT8E4M3FN, dims=[1])
    tensor.raw_data = b"\0"
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["unused"], value=tensor))
    onnx.save(model, tmp_path / "model.onnx")
    result = nhle("inspect", tmp_path / "model.onnx", "--json")
    assert result.code == 0
    assert json.loads(result.out)["head"]["num_classes"] == 10


def test_a_head_of_whole_numbers_without_a_scale(tmp_path: Path, nhle: Nhle) -> None:
    model = onnx.load(LENET)
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "classifier.bias")
    values = numpy_helper.to_array(bias).astype(np.int8)
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    onnx.save(model, tmp_path / "model.onnx")
    result = nhle("unlearn", tmp_path / "model.onnx", "--forget", "3", "--method", "cwm")
    assert result.code == 4
    assert "classifier.bias, which holds INT8" in result.err


@pytest.mark.parametrize("broken", ["weight", "scale"])
def test_a_quantized_head_whose_scale_does_not_fit(broken: str, tmp_path: Path, nhle: Nhle) -> None:
    model = load_model(MOBILENET_INT8)
    head = find_head(model)
    assert head.weight_quant_params
    name = head.weight if broken == "weight" else head.weight_quant_params.scales[0]
    (tensor,) = (each for each in model.proto.graph.initializer if each.name == name)
    shape = tuple(tensor.dims) if broken == "weight" else (3,)
    tensor.CopyFrom(numpy_helper.from_array(np.ones(shape, np.float32), name))
    onnx.save(model.proto, tmp_path / "model.onnx")
    result = nhle("unlearn", tmp_path / "model.onnx", "--forget", "3", "--method", "cwm")
    assert result.code == 4
    assert "scale or zero point does not fit" in result.err

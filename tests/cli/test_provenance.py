"""What a report says of how its model was made: files by digest, and what was asked for."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

import nhle_onnx
from support.runs import Nhle
from support.shipped import EVALUATION, SAMPLES


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def report(nhle: Nhle, lenet_copy: Path) -> Iterator[dict[str, Any]]:
    """LeNet-5 with its weights outside, after `--method cwm`."""
    onnx.save_model(
        onnx.load(lenet_copy), lenet_copy, save_as_external_data=True, location="weights.bin",
        size_threshold=0,
    )  # fmt: skip
    result = nhle(
        "unlearn", lenet_copy, "--forget", 3, "--method", "cwm", "--samples", SAMPLES,
        "--also", "ort", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    written = json.loads(lenet_copy.with_name("model.unlearned.report.json").read_text("utf-8"))
    assert json.loads(result.out) == written
    return written


def read_digests(descriptors: list[dict[str, Any]]) -> dict[str, str | None]:
    return {file["name"]: file.get("digest", {}).get("sha256") for file in descriptors}


def test_subjects_are_what_was_written(report: dict[str, Any], lenet_copy: Path) -> None:
    subjects = read_digests(report["provenance"]["subject"])
    names = ("model.unlearned.onnx", "model.unlearned.onnx.data", "model.unlearned.ort")
    assert subjects == {name: digest(lenet_copy.with_name(name)) for name in names}


def test_materials_are_what_was_read(report: dict[str, Any], lenet_copy: Path) -> None:
    definition = report["provenance"]["predicate"]["buildDefinition"]
    assert read_digests(definition["resolvedDependencies"]) == {
        str(lenet_copy): digest(lenet_copy),
        "weights.bin": digest(lenet_copy.with_name("weights.bin")),
        str(SAMPLES): None,
        str(EVALUATION): digest(EVALUATION),
    }


def test_parameters_are_what_was_asked_for(report: dict[str, Any]) -> None:
    predicate = report["provenance"]["predicate"]
    definition = predicate["buildDefinition"]
    parameters = definition["externalParameters"]
    assert parameters["forget"] == [3]
    assert parameters["method"] == "cwm"
    assert parameters["mask"] == "convex"
    assert parameters["seed"] == 0
    assert parameters["preprocess"] == report["preprocess"]
    assert "steps_run" not in parameters
    assert definition["internalParameters"]["environment"] == report["environment"]
    builder = predicate["runDetails"]["builder"]
    assert builder["version"] == {"nhle-onnx": nhle_onnx.__version__}


def test_it_is_an_in_toto_statement_with_slsa_provenance(report: dict[str, Any]) -> None:
    """By the specifications' own message types, which know every field."""
    statement = json_format.ParseDict(report["provenance"], StatementMessage())
    Statement.copy_from_pb(statement).validate()
    assert statement.type == "https://in-toto.io/Statement/v1"
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    predicate = json_format.ParseDict(report["provenance"]["predicate"], Provenance())
    assert len(predicate.build_definition.resolved_dependencies) == 4

"""Bill of materials, provenance and JSON of a report that is known to the last field."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nhle_onnx.release.bom import render_bom
from nhle_onnx.release.provenance import make_statement
from nhle_onnx.release.report import (
    read_trajectory,
    render_json,
    require_report_of,
    upgrade_report,
)
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import (
    Accuracy,
    Check,
    ConvertedFile,
    FileSummary,
    ModelSummary,
    SampleSummary,
    UnlearnReport,
    Unmasked,
)  # fmt: skip
from support.assertions import assert_refuses
from support.boms import read_bom

HEAD = ClassifierHead(
    op="Gemm", node="n", weight="w", bias="b", bias_scale=1.0, class_axis=0, num_classes=3,
    feature_dim=5, features="f", logits="z", scores="z", is_clamped=False, output="y",
)  # fmt: skip
Document = dict[str, Any]


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def make_report(**changes: object) -> UnlearnReport:
    fields: Document = {
        "tool": {"name": "nhle-onnx", "version": "1.2.3"},
        "environment": {"python": "3.11"},
        "command": "nhle-onnx unlearn in/model.onnx",
        "seed": 7,
        "model": ModelSummary(
            path="in/model.onnx", sha256=digest("old"), size_bytes=10,
            sidecars={"w.bin": digest("weights")}, opset=17, head=HEAD, format="float32",
        ),
        "edited": FileSummary(
            path="out/edited.onnx", sha256=digest("new"), size_bytes=11,
            sidecars={"edited.onnx.data": digest("new weights")},
        ),
        "labels": ("cat", "dog", "2"),
        "forget": (1,),
        "samples": SampleSummary(
            forget=4, anchors=5, eval=6, source="s", anchor_source="a", eval_source="e"
        ),
        "preprocess": None,
        "method": {**dataclasses.asdict(UnlearnOptions(seed=7)), "anchors": "a", "steps_run": 3},
        "provider": "CPUExecutionProvider",
        "device": "cpu",
        "before": Accuracy(acc_f=0.75, acc_r=0.5, per_class=(0.25, 0.75, None)),
        "after": Accuracy(acc_f=0.0, acc_r=0.625, per_class=(1.0, 0.0, None)),
        "unmasked": Unmasked(acc_f=0.125),
        "delta_acc_r": 0.125,
        "changed_tensors": ("w", "b"),
        "added_tensors": ("n",),
        "trajectory": (),
        "elapsed_s": {"training": 1.5},
        "notes": ("a note",),
        "also": (
            ConvertedFile(
                format="ort", path="out/edited.ort", sha256=digest("ort"), size_bytes=9,
                images=6, source="e", agreement=1.0, largest_difference=0.0,
            ),
        ),
        "checks": (Check(name="after.acc_f", value=0.0, limit=0.01, better="lower"),),
    }  # fmt: skip
    return UnlearnReport(**(fields | changes))


def make_bom(report: UnlearnReport) -> Document:
    text = render_bom(report)
    assert text.endswith("}\n")
    return read_bom(text)


def describe(reference: str, name: str, content: str, **more: object) -> Document:
    hashes = [{"alg": "SHA-256", "content": digest(content)}]
    return {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": name,
        "hashes": hashes,
        **more,
    }


def list_files(*names: tuple[str, str]) -> list[Document]:
    return [
        {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": digest(content)}]}
        for name, content in names
    ]


def test_the_bill_of_materials_says_all_that_the_report_knows() -> None:
    document = make_bom(make_report())
    number = document.pop("serialNumber")
    card = document["metadata"]["component"].pop("modelCard")
    assert document == {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [{"type": "application", "name": "nhle-onnx", "version": "1.2.3"}]
            },
            "component": describe(
                "edited", "edited.onnx", "new",
                components=list_files(("edited.onnx.data", "new weights")),
                description="An image classifier that was made to forget class 1 dog.",
                pedigree={
                    "ancestors": [
                        describe(
                            "original", "model.onnx", "old",
                            components=list_files(("w.bin", "weights")),
                        )
                    ],
                    "notes": "Edited by nhle-onnx 1.2.3 (nhle-cwm) to forget class 1 dog. "
                    "2 tensors changed, 1 added.",
                },
            ),
        },
        "components": [
            describe(
                "ort edited.ort", "edited.ort", "ort",
                description="The edited model in the .ort format.",
            )
        ],
        "dependencies": [{"ref": "edited"}, {"ref": "ort edited.ort", "dependsOn": ["edited"]}],
    }  # fmt: skip
    assert card["modelParameters"] == {
        "approach": {"type": "supervised"},
        "task": "classification",
        "datasets": [
            {"type": "dataset", "name": "s", "description": "4 images of the forgotten classes"},
            {
                "type": "dataset", "name": "a",
                "description": "5 images that keep the other classes unchanged",
            },
            {"type": "dataset", "name": "e", "description": "6 images for evaluation"},
        ],
        "inputs": [{"format": "image"}],
        "outputs": [{"format": "one score for each of 3 classes"}],
    }  # fmt: skip
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert [(each["type"], each["value"], each["slice"]) for each in metrics] == [
        ("Acc_F", "0.750000", "forgotten classes, the original"),
        ("Acc_R", "0.500000", "retained classes, the original"),
        ("Acc_F", "0.000000", "forgotten classes, the edited model"),
        ("Acc_R", "0.625000", "retained classes, the edited model"),
        ("Acc_F", "0.125000", "forgotten classes, with the original head"),
        ("accuracy", "1.000000", "class 0 cat"),
        ("accuracy", "0.000000", "class 1 dog"),
    ]
    assert card["considerations"] == {
        "technicalLimitations": [
            "An image of class 1 dog is assigned another class.",
            "Anyone with labelled images of a forgotten class can train it into the model again.",
            "a note",
        ],
        "performanceTradeoffs": ["Acc_R, the accuracy on retained classes, changed by +0.1250."],
    }
    assert number.startswith("urn:uuid:")


def test_what_is_not_there_is_not_told() -> None:
    nothing = Accuracy(acc_f=None, acc_r=None, per_class=(None,) * 3)
    report = make_report(
        forget=(0, 2), also=(), before=nothing, after=nothing, unmasked=Unmasked(acc_f=None),
        delta_acc_r=None, notes=(),
        samples=SampleSummary(
            forget=0, anchors=0, eval=2, source="", anchor_source="", eval_source="e"
        ),
        edited=FileSummary(path="e.onnx", sha256=digest("new"), size_bytes=1, sidecars={}),
        checks=(
            Check(name="a", value=0.5, limit=0.25, better="lower"),
            Check(name="b", value=0.5, limit=0.25, better="higher"),
        ),
    )  # fmt: skip
    document = make_bom(report)
    edited = document["metadata"]["component"]
    assert edited["description"].endswith("forget classes 0 cat, 2.")
    assert "components" not in edited
    assert (document["components"], document["dependencies"]) == ([], [{"ref": "edited"}])
    card = edited["modelCard"]
    assert [each["name"] for each in card["modelParameters"]["datasets"]] == ["e"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == []
    assert card["considerations"].keys() == {"technicalLimitations"}
    assert card["considerations"]["technicalLimitations"][2:] == [
        "the check a failed: 0.5000, limit 0.2500"
    ]


def test_the_serial_number_follows_from_the_files() -> None:
    """And from nothing else: the same files, the same number."""
    reports = [
        make_report(),
        make_report(also=()),
        make_report(edited=dataclasses.replace(make_report().edited, sha256=digest("x"))),
        make_report(edited=dataclasses.replace(make_report().edited, sidecars={})),
        make_report(model=dataclasses.replace(make_report().model, sha256=digest("x"))),
        make_report(model=dataclasses.replace(make_report().model, sidecars={"w": digest("x")})),
    ]
    numbers = [make_bom(report)["serialNumber"] for report in reports]
    assert len({*numbers}) == len(reports)
    elsewhere = make_report(command="another", notes=("b",), seed=8)
    assert make_bom(elsewhere)["serialNumber"] == numbers[0]


def test_texts_stay_as_they_are() -> None:
    text = render_bom(make_report(notes=("é ☃ \x1b \u202e",)))
    assert text.startswith('{\n  "$schema": ')
    assert "é ☃" in text
    assert json.loads(text)["metadata"]["component"]["modelCard"]["considerations"][
        "technicalLimitations"
    ][-1] == "é ☃ \x1b \u202e"  # fmt: skip
    with pytest.raises(ValueError, match="JSON"):
        render_json({"value": float("nan")})


def test_provenance_names_every_file_by_its_digest() -> None:
    sources = {"a folder": None, "eval.npz": digest("eval")}
    statement = make_statement(make_report(), sources)
    assert statement["subject"] == [
        {"name": "edited.onnx", "digest": {"sha256": digest("new")}},
        {"name": "edited.onnx.data", "digest": {"sha256": digest("new weights")}},
        {"name": "edited.ort", "digest": {"sha256": digest("ort")}},
    ]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    predicate = statement["predicate"]
    definition = predicate["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {"name": "in/model.onnx", "digest": {"sha256": digest("old")}},
        {"name": "w.bin", "digest": {"sha256": digest("weights")}},
        {"name": "a folder", "uri": "a%20folder"},
        {"name": "eval.npz", "digest": {"sha256": digest("eval")}},
    ]
    assert definition["buildType"] == "nhle-onnx:unlearn/v1"
    assert definition["internalParameters"] == {
        "device": "cpu", "provider": "CPUExecutionProvider", "environment": {"python": "3.11"}
    }  # fmt: skip
    assert definition["externalParameters"] == {
        "command": "nhle-onnx unlearn in/model.onnx", "forget": (1,), "preprocess": None,
        "anchors": "a", **dataclasses.asdict(UnlearnOptions(seed=7)),
    }  # fmt: skip
    assert predicate["runDetails"] == {
        "builder": {"id": "pkg:pypi/nhle-onnx@1.2.3", "version": {"nhle-onnx": "1.2.3"}}
    }


@dataclasses.dataclass
class Judged:
    """As those reports whose verdict is more than passed or failed."""

    values: tuple[int, ...]

    @property
    def verdict(self) -> str:
        return "undecided"


def test_a_verdict_is_written_where_there_is_one() -> None:
    found = json.loads(render_json({"a": [Judged((1, 2))]}))
    assert found == {"a": [{"values": [1, 2], "verdict": "undecided"}]}
    assert render_json(Judged(())).count("\n") == 4


def test_a_report_as_json_has_its_fields_and_verdicts() -> None:
    report = make_report(labels=("é\x1b", "dog", "2"), elapsed_s={"a": np.float64(0.5)})
    text = render_json(report)
    assert text.endswith("}\n")
    assert "é" in text
    assert "\x1b" not in text
    assert text.splitlines()[1].startswith('  "schema"')
    document = json.loads(text)
    expected = json.loads(json.dumps(dataclasses.asdict(report)))
    for judged in (document, *document["checks"]):
        assert judged.pop("passed") is True
        assert judged.pop("verdict") == "passed"
    assert document == expected


def test_a_report_of_the_first_version_can_still_be_read() -> None:
    """With its names for what training reports, and for quantization parameters."""
    first = {
        "schema": "nhle-onnx/report/v1",
        "model": {"head": {"weight_grid": None, "score_limits": []}},
        "method": {"hardening": 0.6},
        "trajectory": [
            {"step": 1, "forgetting": 0.5, "keeping": 0.25, "parting": 0.125, "lead": -1.0}
        ],
    }
    second = upgrade_report(first)
    assert second["schema"] == "nhle-onnx/report/v2"
    assert second["model"]["head"] == {"weight_quant_params": None, "score_quant_params": []}
    assert second["method"] == {"adversarial_augmentation": 0.6}
    (step,) = read_trajectory(first)
    assert (step.forget_loss, step.retain_loss) == (0.5, 0.25)
    assert (step.alignment_loss, step.forget_margin) == (0.125, -1.0)
    assert read_trajectory(second) == (step,)
    assert upgrade_report(second) == second


def test_a_report_goes_with_one_model() -> None:
    document = json.loads(render_json(make_report()))
    require_report_of(Path("r.json"), document, Path("m.onnx"), digest("new"))
    for other in (document | {"edited": None}, {}, [], None, document):
        error = assert_refuses(
            lambda other=other: require_report_of(Path("r"), other, Path("m.onnx"), digest("old")),
            "r is the report of another model than m.onnx: the digests differ",
        )
        assert error.remedy == "Give the .report.json that was written with it."

"""How an edited model was made, as an in-toto statement with SLSA provenance."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.summary import FileSummary, ModelSummary

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
# what `parameters` and materials mean for this tool: docs/reference/report.md
BUILD_TYPE = "nhle-onnx:unlearn/v1"

Fields = dict[str, Any]


def make_statement(report: UnlearnReport, sources: Mapping[str, str | None]) -> Fields:
    """Make the statement: its subjects are the outputs, its materials the inputs.

    `sources` are the samples by path, with the SHA-256 of each that is a single file.
    """
    model, edited = report.model, report.edited
    made = _list_files(PurePath(edited.path).name, edited)
    converted = [_describe(PurePath(file.path).name, file.sha256) for file in report.also]
    return {
        "_type": STATEMENT,
        "subject": [*made, *converted],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "command": report.command,
                    "forget": report.forget,
                    "preprocess": report.preprocess,
                    **_list_options(report.method),
                },
                "internalParameters": {
                    "device": report.device,
                    "provider": report.provider,
                    "environment": report.environment,
                },
                "resolvedDependencies": [
                    *_list_files(model.path, model),
                    *(_describe(path, digest) for path, digest in sources.items()),
                ],
            },
            "runDetails": {
                "builder": {
                    "id": f"pkg:pypi/{report.tool['name']}@{report.tool['version']}",
                    "version": {report.tool["name"]: report.tool["version"]},
                },
            },
        },
    }


def _list_files(name: str, model: FileSummary | ModelSummary) -> list[Fields]:
    sidecars = model.sidecars.items()
    return [_describe(name, model.sha256), *(_describe(*sidecar) for sidecar in sidecars)]


def _describe(name: str, sha256: str | None) -> Fields:
    """Describe one file or folder. A folder has no digest, and is named by its path."""
    if sha256 is None:
        return {"name": name, "uri": quote(PurePath(name).as_posix())}
    return {"name": name, "digest": {"sha256": sha256}}


def _list_options(method: Mapping[str, Any]) -> Fields:
    """List the options, without results."""
    names = [*(field.name for field in fields(UnlearnOptions)), "anchors"]
    return {name: method[name] for name in names if name in method}

"""One job of a fleet, done only once, however often it is run."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nhle_onnx.data.folders import LISTS, read_list
from nhle_onnx.data.labels import parse_request
from nhle_onnx.data.splits import find_samples
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import remember_inputs
from nhle_onnx.graph.regular_files import digest_regular
from nhle_onnx.graph.save import write_files
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.release.report import render_json
from nhle_onnx.values.fleet import JobRecord
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.classifier import Classifier, open_classifier
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out, rehearse

EDITED = "model.onnx"
RECORD = "job.json"
ERROR = "error.txt"
_RECORD = TypeAdapter(JobRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetJob:
    """A request for one model; `settings.out` lies in the job's folder."""

    name: str
    settings: UnlearnSettings

    @property
    def folder(self) -> Path:
        """The folder of everything that the job writes."""
        return self.settings.edited_path.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job's record, and whether it existed before."""

    record: JobRecord
    kept: bool


@remember_inputs()
def carry_out_job(job: FleetJob) -> Done:
    """Unlearn, unless that was done before with the same inputs, options and outputs.

    The record is written last, and whole. So a killed job is either finished, or will be repeated.
    Raises the errors of `unlearn`.
    """
    inputs = digest_inputs(job.settings)
    record = read_record(job, inputs)
    if record:
        return Done(record=record, kept=True)
    _clear(job)
    start = time.perf_counter()
    watch = Stopwatch(Silence())
    report = carry_out(plan_unlearning(job.settings, watch), watch)
    record = _make_record(job, inputs, report, time.perf_counter() - start)
    write_files({job.folder / RECORD: render_json(record).encode()}, force=True)
    return Done(record=record, kept=False)


@remember_inputs()
def check_job(job: FleetJob) -> bool:
    """Return whether a job is done; otherwise raise what its run would raise before it trains."""
    if read_record(job, digest_inputs(job.settings)):
        return True
    watch = Stopwatch(Silence())
    with open_scratch() as folder:  # the job's own may not be there yet
        settings = replace(job.settings, out=folder / EDITED)
        rehearse(plan_unlearning(settings, watch), watch)
    return False


def read_record(job: FleetJob, inputs: str) -> JobRecord | None:
    """Read the record of a job done with these inputs, if its outputs still exist."""
    try:
        record = _RECORD.validate_json((job.folder / RECORD).read_bytes())
        report = job.settings.report_path.read_bytes()
        outputs = (hashlib.sha256(report).hexdigest(), _digest_output(job.settings.edited_path))
        figures = _read_figures(json.loads(report))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    stated = (record.verdict, record.acc_f, record.delta_acc_r, record.unmasked_acc_f)
    expected = (record.inputs, record.report, record.edited)
    return record if expected == (inputs, *outputs) and stated == figures else None


def _read_figures(report: Any) -> tuple[Any, ...]:  # noqa: ANN401 - JSON
    accuracies = report["after"]["acc_f"], report["delta_acc_r"], report["unmasked"]["acc_f"]
    return report["verdict"], *accuracies


def digest_inputs(settings: UnlearnSettings) -> str:
    """Return the SHA-256 of everything that decides a job's result. That is model, labels,
    preprocessing, samples and options. Samples count by content, not by path. Raises the errors of
    opening the model.
    """
    classifier = open_classifier(settings.model, settings.flags)
    facts = {
        "model": classifier.model.sha256,
        "sidecars": dict(classifier.model.sidecars),
        "output": classifier.head.output,
        "constants": settings.flags.constants,
        "labels": classifier.labels,
        "preprocess": asdict(classifier.preprocess) if classifier.preprocess else None,
        "image_input": asdict(classifier.image_input),
        "forget": parse_request(settings.forget, classifier.labels).forget,
        "samples": _digest_tree(settings.samples or _find(classifier)),
        "eval_data": _digest_tree(settings.data),
        "anchors": settings.anchors,
        "anchor_samples": _digest_anchors(settings.anchors),
        "options": asdict(settings.options),
        "limits": asdict(settings.limits),
        "where": (settings.provider, settings.kernels, settings.device),
        "also": settings.also,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _find(classifier: Classifier) -> Path | None:
    try:
        return find_samples(classifier.model)
    except InputRefusedError:  # reported again, with its remedy, where samples are needed
        return None


def _digest_anchors(anchors: str) -> str | None:
    """Return the digest of a folder or file, and of what a list of images names."""
    path = None if anchors in {"auto", "off"} else Path(anchors)
    if path is None or not path.is_file() or path.suffix.lower() not in LISTS:
        return _digest_tree(path)
    return " ".join(map(digest_regular, (path, *(image.path for image in read_list(path).images))))


def _digest_output(path: Path) -> str:
    """Digest what an earlier run wrote. It is not an input, and may be replaced."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_tree(path: Path | None) -> str | None:
    """Return the digest of a file, or of a folder's file names and digests."""
    if path is None or not path.exists():
        return None
    if path.is_file():
        return digest_regular(path)
    listed = [
        f"{file.relative_to(path).as_posix()} {digest_regular(file)}"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _clear(job: FleetJob) -> None:
    """Remove everything from an earlier run; the record first, as the job is no longer finished."""
    job.folder.mkdir(parents=True, exist_ok=True)
    for path in (job.folder / RECORD, job.folder / ERROR, *job.folder.glob(".*.part")):
        path.unlink(missing_ok=True)


def _make_record(job: FleetJob, inputs: str, report: UnlearnReport, elapsed_s: float) -> JobRecord:
    return JobRecord(
        inputs=inputs,
        report=_digest_output(job.settings.report_path),
        edited=report.edited.sha256,
        verdict=report.verdict,
        acc_f=report.after.acc_f,
        delta_acc_r=report.delta_acc_r,
        unmasked_acc_f=report.unmasked.acc_f,
        elapsed_s=round(elapsed_s, 3),
    )

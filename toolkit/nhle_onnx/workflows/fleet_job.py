"""One job of a fleet, done only once, however often it is run."""

import hashlib
import json
import time
from collections.abc import Mapping
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
from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.fleet import DetectionJobRecord, JobRecord
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.task import CLASSIFICATION, DETECTION, Task, list_figures, read_change
from nhle_onnx.workflows.classifier import Classifier, open_classifier
from nhle_onnx.workflows.detection.plan import list_boxes
from nhle_onnx.workflows.detection.subject import DetectorFoundError, Subject
from nhle_onnx.workflows.forget import forget_class, rehearse_class
from nhle_onnx.workflows.observer import Silence, Stopwatch

EDITED = "model.onnx"
RECORD = "job.json"
ERROR = "error.txt"
Record = JobRecord | DetectionJobRecord
_RECORD: TypeAdapter[Record] = TypeAdapter(Record)
_KINDS: Mapping[Task, type[Record]] = {CLASSIFICATION: JobRecord, DETECTION: DetectionJobRecord}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetJob:
    """A request for one model; `settings.out` lies in the job's folder. `root` is the folder of the
    fleet file.
    """

    name: str
    settings: UnlearnSettings
    root: Path | None = None

    @property
    def model(self) -> str:
        """The model's path for people, relative to the fleet file if it lies in its folder."""
        path, root = self.settings.model, self.root
        if root and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
        return str(path)

    @property
    def folder(self) -> Path:
        """The folder of everything that the job writes."""
        return self.settings.edited_path.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job's record, and whether it existed before."""

    record: Record
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
    report = forget_class(job.settings, Stopwatch(Silence()))
    record = _make_record(job, inputs, report, time.perf_counter() - start)
    write_files({job.folder / RECORD: render_json(record).encode()}, force=True)
    return Done(record=record, kept=False)


@remember_inputs()
def check_job(job: FleetJob) -> bool:
    """Return whether a job is done; otherwise raise what its run would raise before it trains."""
    if read_record(job, digest_inputs(job.settings)):
        return True
    with open_scratch() as folder:  # the job's own may not be there yet
        rehearse_class(replace(job.settings, out=folder / EDITED), Stopwatch(Silence()))
    return False


def read_record(job: FleetJob, inputs: str) -> Record | None:
    """Read the record of a job done with these inputs, if its outputs still exist."""
    try:
        record = _RECORD.validate_json((job.folder / RECORD).read_bytes())
        content, edited = job.settings.report_path.read_bytes(), job.settings.edited_path
        report = json.loads(content)
        outputs = (hashlib.sha256(content).hexdigest(), _digest_output(edited))
        sidecars = report["edited"]["sidecars"]
        found = {name: _digest_output(edited.with_name(name)) for name in sidecars}
        figures = _read_figures(report, record.task)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    stated = (record.inputs, record.report, record.edited, record.verdict, *record.figures)
    return record if (stated, sidecars) == ((inputs, *outputs, *figures), found) else None


def _read_figures(report: Any, task: Task) -> tuple[Any, ...]:  # noqa: ANN401 - JSON
    left = [report[model][task.forgotten.key] for model in ("after", "unmasked")]
    return report["verdict"], left[0], report[task.change], left[1]


def digest_inputs(settings: UnlearnSettings) -> str:
    """Return the SHA-256 of everything that decides a job's result. That is model, labels,
    preprocessing, samples and options. Samples count by content, not by path. Raises the errors of
    opening the model.
    """
    opened = _open(settings)
    facts = {
        "model": opened.model.sha256,
        "sidecars": dict(opened.model.sidecars),
        "constants": settings.flags.constants,
        "labels": opened.labels,
        "preprocess": asdict(opened.preprocess) if opened.preprocess else None,
        "image_input": asdict(opened.image_input),
        "forget": parse_request(settings.forget, opened.labels).forget,
        "samples": _digest_tree(settings.samples or _find(opened)),
        "eval_data": _digest_tree(settings.data),
        "anchors": settings.anchors,
        "anchor_samples": _digest_anchors(settings.anchors),
        "options": asdict(settings.options),
        "limits": asdict(settings.limits),
        "where": (settings.provider, settings.kernels, settings.device),
        "also": settings.also,
        **_list_own(settings, opened),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _open(settings: UnlearnSettings) -> Classifier | Subject:
    try:
        return open_classifier(settings.model, settings.flags)
    except DetectorFoundError as found:
        return found.subject


def _list_own(settings: UnlearnSettings, opened: Classifier | Subject) -> dict[str, Any]:
    """List what else decides the result of a classifier, or of a detector."""
    if isinstance(opened, Classifier):
        return {"output": opened.head.output}
    return {"detector": asdict(opened.detector), "boxes": list_boxes(settings, opened)}


def _find(opened: Classifier | Subject) -> Path | None:
    try:
        return find_samples(opened.model)
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


def _make_record(job: FleetJob, inputs: str, report: EditReport, elapsed_s: float) -> Record:
    task, forgotten = report.after.task, list_figures(report)[0]
    figures: dict[str, Any] = {
        task.forgotten.key: forgotten.after,
        task.change: read_change(report),
        f"unmasked_{task.forgotten.key}": forgotten.unmasked,
    }
    return _KINDS[task](
        inputs=inputs,
        report=_digest_output(job.settings.report_path),
        edited=report.edited.sha256,
        verdict=report.verdict,
        elapsed_s=round(elapsed_s, 3),
        **figures,
    )

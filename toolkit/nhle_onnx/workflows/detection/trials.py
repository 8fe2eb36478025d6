"""Preprocessing tried on images with boxes: as found, and by common presets."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.data.presets import PRESETS
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.summary import Trial, Trials
from nhle_onnx.workflows.detection.fitting import open_truth
from nhle_onnx.workflows.detection.measure import Reader, detect, judge, open_reader
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.measure import ignore_batch
from nhle_onnx.workflows.trials import list_candidates

_TRIED = 48  # images, to tell which preprocessing works


def try_on_scenes(data: Path, subject: Subject) -> Trials:
    """Measure the mean average precision on some images, as found and under each other
    preprocessing, best first. One that crops objects away is left out.

    Raises InputRefusedError where nothing says which boxes the images have.
    """
    target = subject.image_input
    anyhow = replace(subject, preprocess=subject.preprocess or PRESETS[0].apply(target))
    notes = open_truth(data, anyhow).notes
    reader = open_reader(subject, "auto", "exact")
    tried, most, images = [], 0, 0
    for options, preprocess in list_candidates(subject.preprocess, target):
        source = _choose(open_truth(data, replace(subject, preprocess=preprocess)))
        shown = sum(len(boxes.classes) for boxes in source.boxes if boxes is not None)
        try:
            found = Trial(options=options, accuracy=_measure(reader, source))
        except InputRefusedError:  # such as sizes that do not fit the model
            continue
        tried.append((shown, found))
        most, images = max(most, shown), len(source.boxes)
    kept = [trial for shown, trial in tried if shown == most]
    best = sorted(kept, key=lambda trial: -trial.accuracy)
    return Trials(images=images, tried=tuple(best), notes=notes)


def _choose(source: SceneSource) -> SceneSource:
    chosen: list[int] = np.unique(
        np.linspace(0, len(source.boxes) - 1, _TRIED).astype(int)
    ).tolist()
    return source.choose(chosen)


def _measure(reader: Reader, source: SceneSource) -> float:
    """Measure the mean average precision over the classes that are shown."""
    (answers,) = detect([reader], source, ignore_batch)
    truth = [boxes for boxes in source.boxes if boxes is not None]
    request = ForgetRequest(forget=(0,), num_classes=len(reader.subject.labels))
    found = judge(reader.subject, answers, truth, request).per_class
    return fmean([value for value in found if value is not None] or [0.0])

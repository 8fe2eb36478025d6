"""The samples of a request: to be forgotten, anchors, and evaluation samples. Without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.samples import open_samples, read_unlabelled
from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.splits import Split, find_samples, split_samples
from nhle_onnx.data.variety import choose_varied, measure_variety, spread
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.report import SampleSummary
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.verification.finite import check_finite
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.evaluation import (
    choose_evaluation,
    make_empty_evaluation,
    read_evaluation,
)
from nhle_onnx.workflows.measure import Evaluation
from nhle_onnx.workflows.sample_warnings import (
    describe_contradiction,
    describe_duplicates,
    describe_unshown,
    is_among,
)

Array = npt.NDArray[np.float32]

_NO_ANCHORS = hint(
    "no samples of retained classes were given, so anchors were made from the forget samples; a "
    "few dozen unlabelled images as {anchors} keep the retained accuracy more reliably"
)
_CWM_ALONE = hint(
    "only the head was masked ({method=cwm}): the features still contain the class, and restoring "
    "the head's row brings it back"
)
_CANDIDATES = 4  # images looked at for each that is chosen
_MEND_INPUTS = "Correct the sample, or the preprocessing that made it."


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningData:
    """Decoded tuning samples: `forget` [N, ...] of `forget_classes` [N], `anchors` [M, ...]."""

    forget: Array
    forget_classes: npt.NDArray[np.int64]
    anchors: Array
    synthesizes: bool


def gather_tuning_data(
    settings: UnlearnSettings, classifier: Classifier, request: ForgetRequest
) -> tuple[TuningData, Evaluation, SampleSummary, tuple[str, ...]]:
    """Gather samples for tuning and for evaluation, their summary, and notes for the report.

    Raises InputRefusedError where there are no samples to forget, or they do not fit the model.
    """
    options = settings.options
    cwm_note = () if options.trains else (_CWM_ALONE,)
    source = _open_source(settings, classifier)
    if source is None:
        return (*_gather_nothing(settings, classifier), cwm_note)
    choose = partial(_choose_varied, source) if options.needs_samples else spread
    split = split_samples(source.classes, request, options.samples_per_class, choose)
    _require_forget_samples(source, request, needs=options.needs_samples)
    evaluation = choose_evaluation(settings.data, source, split, classifier, request)
    evaluation = replace(evaluation, is_tuning=evaluation.is_tuning and options.needs_samples)
    read = _read_tuning(settings, classifier, request, source, split)
    left_out = (*source.notes, *read.left_out, *evaluation.samples.notes)
    summary = SampleSummary(
        forget=len(read.tuning.forget),
        anchors=len(read.tuning.anchors),
        eval=len(evaluation.classes),
        source=str(source.path),
        anchor_source=read.anchor_source,
        eval_source=evaluation.source,
        variety=min(read.variety.values(), default=None),
    )
    notes = (*cwm_note, *dict.fromkeys(left_out), *read.notes)
    return read.tuning, evaluation, summary, notes


class _Read(NamedTuple):
    """Tuning samples, where anchors are from, how varied each class is, and notes: on images that
    were left out, and on those that were read.
    """

    tuning: TuningData
    anchor_source: str
    variety: dict[int, float]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def _read_tuning(
    settings: UnlearnSettings,
    classifier: Classifier,
    request: ForgetRequest,
    source: SampleSource,
    split: Split,
) -> _Read:
    """Read the samples to forget and the anchors, without anchors that show what is forgotten."""
    forget, classes = source.read(split.forget), source.classes[list(split.forget)]
    anchors, anchor_source, left_out = _read_anchors(settings, classifier, request, source, split)
    for samples in (forget, anchors):
        check_finite(samples, str(source.path), _MEND_INPUTS)
    is_copy = is_among(anchors, forget)
    anchors = anchors[~is_copy]
    variety = _measure_variety(forget, classes, anchors, classifier)
    notes = (*describe_contradiction(int(is_copy.sum())), *describe_duplicates(variety))
    synthesizes = settings.options.trains and settings.anchors == "auto" and not len(anchors)
    if synthesizes:
        anchor_source, notes = "made from the forget samples", (*notes, _NO_ANCHORS)
    tuning = TuningData(
        forget=forget, forget_classes=classes, anchors=anchors, synthesizes=synthesizes
    )
    return _Read(tuning, anchor_source, variety, left_out, notes)


def _measure_variety(
    forget: Array, classes: npt.NDArray[np.int64], anchors: Array, classifier: Classifier
) -> dict[int, float]:
    """Measure how varied the samples of each class are, where there are several."""
    layout = classifier.image_input.layout
    measured = {
        int(index): measure_variety(forget[classes == index], anchors, layout)
        for index in np.unique(classes)
    }
    return {index: value for index, value in measured.items() if value is not None}


def _choose_varied(source: SampleSource, positions: Sequence[int], count: int) -> Sequence[int]:
    """Choose those that show the most, of a few times as many from all over the source."""
    if len(positions) <= count:
        return positions
    candidates = spread(positions, _CANDIDATES * count)
    layout = source.target.layout
    return [candidates[i] for i in choose_varied(source.read(candidates), layout, count)]


def _open_source(settings: UnlearnSettings, classifier: Classifier) -> SampleSource | None:
    """Open the given or default samples; without any, None if only the head is masked."""
    path = settings.samples
    if path is None:
        try:
            path = find_samples(classifier.model)
        except InputRefusedError:
            if settings.options.needs_samples:
                raise
            return None
    return open_samples(path, classifier.image_input, classifier.preprocess, classifier.labels)


def _require_forget_samples(source: SampleSource, request: ForgetRequest, *, needs: bool) -> None:
    missing = [index for index in request.forget if index not in source.classes]
    if needs and missing:
        message = f"{source.path} holds no sample of class {missing[0]}, which is to be forgotten"
        raise InputRefusedError(
            message,
            remedy=hint(
                "Add a few images of it (16 are enough), or use {method=cwm}, which masks the "
                "head only and does not erase features."
            ),
        )


def _read_anchors(
    settings: UnlearnSettings,
    classifier: Classifier,
    request: ForgetRequest,
    source: SampleSource,
    split: Split,
) -> tuple[Array, str, tuple[str, ...]]:
    if not settings.options.trains or settings.anchors == "off":
        return source.read(()), "off", ()
    if settings.anchors == "auto":
        unshown = describe_unshown(source.classes[list(split.anchors)], request)
        return source.read(split.anchors), str(source.path), unshown
    path = Path(settings.anchors)
    anchors, notes = read_unlabelled(
        path, classifier.image_input, classifier.preprocess, classifier.labels, request.forget
    )
    return anchors, str(path), notes


def _gather_nothing(
    settings: UnlearnSettings, classifier: Classifier
) -> tuple[TuningData, Evaluation, SampleSummary]:
    """Gather no tuning samples, and evaluation samples only if they were given."""
    nothing = make_empty_evaluation(classifier)
    evaluation = read_evaluation(settings.data, classifier) if settings.data else nothing
    tuning = TuningData(
        forget=nothing.read(),
        forget_classes=nothing.classes,
        anchors=nothing.read(),
        synthesizes=False,
    )
    summary = SampleSummary(
        forget=0,
        anchors=0,
        eval=len(evaluation.classes),
        source="none",
        anchor_source="none",
        eval_source=evaluation.source,
    )
    return tuning, evaluation, summary

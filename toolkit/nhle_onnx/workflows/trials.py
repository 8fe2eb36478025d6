"""Preprocessing tried on labelled images: as found, and by common presets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.presets import list_fitting
from nhle_onnx.data.samples import open_samples
from nhle_onnx.data.source import SampleSource
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import Hint, hint
from nhle_onnx.runtime.session import Session
from nhle_onnx.values.preprocess import ChannelOrder, ImageInput, Preprocess
from nhle_onnx.values.summary import AS_FOUND, Trial, Trials
from nhle_onnx.verification.accuracy import count_hits, predict_classes
from nhle_onnx.workflows.classifier import Classifier

_TRIED = 96  # images, to tell which preprocessing works
_RANGES = ((0, 1), (0, 255), (-1, 1))
_COLOURS = 3
_SHARE = 0.875


def try_presets(
    classifier: Classifier, source: SampleSource, indices: Sequence[int], session: Session
) -> Trials:
    """Measure accuracy on some images, as found and under each other preprocessing, best first."""
    chosen = np.unique(np.linspace(0, len(indices) - 1, _TRIED).astype(int)).tolist()
    places = [indices[index] for index in chosen]
    candidates: Iterable[tuple[Hint, Preprocess | None]] = [(hint(AS_FOUND), None)]
    if source.preprocess is not None:  # samples that are model inputs already stay as they are
        candidates = list_candidates(classifier.preprocess, classifier.image_input)
    tried = []
    for options, preprocess in candidates:
        samples = open_samples(source.path, classifier.image_input, preprocess, classifier.labels)
        try:
            images = samples.read(places)
        except InputRefusedError:  # such as sizes that do not fit the model
            continue
        accuracy = _measure(classifier, session, images, samples.classes[places])
        tried.append(Trial(options=options, accuracy=accuracy))
    best = sorted(tried, key=lambda trial: -trial.accuracy)
    return Trials(images=len(places), tried=tuple(best), notes=source.notes)


def list_candidates(
    found: Preprocess | None, target: ImageInput
) -> Iterator[tuple[Hint, Preprocess]]:
    """List what to try, each once: as found, in other units, other orders, sizes, and presets."""
    seen: set[Preprocess] = set()
    for options, preprocess in _list_all(found, target):
        same = replace(preprocess, source="")
        if same not in seen:
            seen.add(same)
            yield options, preprocess


def _list_all(found: Preprocess | None, target: ImageInput) -> Iterator[tuple[Hint, Preprocess]]:
    if found:
        yield hint(AS_FOUND), found
        yield from _vary(found, target)
    for preset in list_fitting(target):
        yield hint(f"{{preprocess={preset.name}}}"), preset.apply(target)


def _vary(found: Preprocess, target: ImageInput) -> Iterator[tuple[Hint, Preprocess]]:
    """List small changes of what was found."""
    for low, high in _RANGES:
        scale = (high - low) / 255
        yield hint(f"{{range={low},{high}}}"), replace(found, scale=scale, offset=float(low))
    if target.channels == _COLOURS:
        other: ChannelOrder = "rgb" if found.channels == "bgr" else "bgr"
        yield hint(f"{{channels={other}}}"), replace(found, channels=other)
    size = (target.height, target.width)
    nothing = replace(found, crop_share=None, size=None, fit="fill", shortest_edge=None, crop=None)
    yield hint("{resize=squash}"), replace(nothing, size=size, crop=size, centre="round")
    if target.height == target.width:
        for share in (1, _SHARE):
            edge = int(target.height / share)
            cropped = replace(nothing, shortest_edge=edge, crop=size, centre="round")
            text = "{resize=shortest}" if share == 1 else f"{{crop_pct={share}}}"
            yield hint(text), cropped


def _measure(
    classifier: Classifier,
    session: Session,
    images: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
) -> float:
    """Measure the mean accuracy over classes."""
    scores = session.run(classifier.head.output, images, classifier.image_input, len(images))
    num_classes = classifier.head.num_classes
    counts = count_hits(predict_classes(scores), classes, num_classes)
    shares = [
        hits / count for hits, count in zip(counts.correct, counts.total, strict=True) if count
    ]
    return float(np.mean(shares))

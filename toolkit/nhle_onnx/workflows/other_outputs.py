"""The other outputs of a model: a device may read any of them for the class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.graph.subgraph import with_output
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import count_hits
from nhle_onnx.verification.gates.judge import Judge
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.measure import Evaluation

_IMAGES = 256  # of the forgotten classes, and as many of the others
_AGREES = 0.25  # of what chance leaves: an output that agrees so far with the scores tells classes


def judge_other_outputs(
    classifier: Classifier,
    proto: ModelProto,
    evaluation: Evaluation,
    judge: Judge,
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Return a gate for each other output that tells the class, and a note for each that cannot be
    read as classes. `proto` is the graph to judge.
    """
    names = [value.name for value in proto.graph.output if value.name != classifier.head.output]
    if not names or not len(evaluation.indices):
        return (), ()
    if classifier.dropped:
        reason = "was not judged, as its classes may have moved up"
        return (), tuple(f"the output {name} {reason}" for name in names)
    chosen = _choose(evaluation.classes, judge.request)
    images, classes = evaluation.read(chosen), evaluation.classes[chosen]
    outputs = _run(classifier, proto, (classifier.head.output, *names), images)
    scores = read_classes(outputs[0], classifier.labels)
    is_retained = ~np.isin(classes, judge.request.forget)
    checks, notes = [], []
    for name, output in zip(names, outputs[1:], strict=True):
        answers = read_classes(output, classifier.labels)
        if answers is None or scores is None:
            notes.append(f"the output {name} gives no classes, and was not judged")
        elif _agree(answers[is_retained], scores[is_retained], judge.request.num_classes):
            counts = count_hits(answers, classes, judge.request.num_classes)
            checks.append(judge.judge_output(f"output {name}.acc_f", counts))
        else:
            notes.append(f"the output {name} does not agree with the scores, and was not judged")
    return tuple(checks), tuple(notes)


def read_classes(
    output: npt.NDArray[np.generic] | None, labels: Sequence[str]
) -> npt.NDArray[np.int64] | None:
    """Read an output as a class for each image [N]; -1 for a name that is not a class.

    This is the class with the highest of scores [N, K], of any type, an index [N], the first of the
    best few indices [N, k], or the class of a name. None if the output is none of these.
    """
    if output is None or not output.ndim or not len(output):
        return None
    rows = output.reshape(len(output), -1)
    columns = rows.shape[1]
    if columns == len(labels) and rows.dtype.kind in "fiub" and not _is_ranking(rows):
        return _find_highest(rows)
    if rows.dtype.kind in "iu" and 0 < columns <= len(labels):
        return rows[:, 0].astype(np.int64)
    if columns == 1 and _is_whole(rows):
        return rows[:, 0].astype(np.int64)
    if rows.dtype.kind in "OUS" and columns == 1:
        known = {label: index for index, label in enumerate(labels)}
        return np.array([known.get(str(name), -1) for name in rows[:, 0]], np.int64)
    return None


def _is_ranking(rows: npt.NDArray[np.generic]) -> bool:
    """Whether each row has the index of each class, best first."""
    is_whole = rows.dtype.kind in "iu" and rows.shape[1] > 1
    return is_whole and bool((np.sort(rows, 1) == np.arange(rows.shape[1])).all())


def _is_whole(rows: npt.NDArray[np.generic]) -> bool:
    """Whether floats are whole numbers from 0 on, as indices are."""
    if rows.dtype.kind != "f":
        return False
    wide = rows.astype(np.float64)
    return bool(((wide >= 0) & (wide % 1 == 0)).all())


def _find_highest(scores: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    wide = scores.astype(np.float64)
    winners: npt.NDArray[np.int64] = np.where(np.isnan(wide), -np.inf, wide).argmax(1)
    return winners


def _choose(classes: npt.NDArray[np.int64], request: ForgetRequest) -> list[int]:
    is_forgotten = np.isin(classes, request.forget)
    sides = (np.flatnonzero(is_forgotten), np.flatnonzero(~is_forgotten))
    return sorted(index for side in sides for index in _spread(side).tolist())


def _spread(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Choose at most `_IMAGES`, evenly: the samples may be in the order of their classes."""
    if not len(indices):
        return indices
    places: npt.NDArray[np.int64] = np.unique(np.linspace(0, len(indices) - 1, _IMAGES, dtype=int))
    return indices[places]


def _run(
    classifier: Classifier,
    proto: ModelProto,
    names: Sequence[str],
    images: npt.NDArray[np.float32],
) -> list[npt.NDArray[np.generic] | None]:
    """Return each output for all images; None for an output without a row for each image."""
    target = classifier.image_input
    size = target.batch or len(images)
    native = open_session(with_output(proto, names[0]), "cpu").native
    parts: list[list[npt.NDArray[np.generic]]] = [[] for _ in names]
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        filled = np.concatenate([batch, np.repeat(batch[:1], size - len(batch), axis=0)])
        values = native.run(list(names), {target.name: filled.astype(target.dtype)})
        for part, value in zip(parts, values, strict=True):
            rows = _read_maps(value) if isinstance(value, list) else np.asarray(value)
            part.append(rows[: len(batch)] if rows.ndim and len(rows) == size else rows[:0])
    return [_join(part, len(images)) for part in parts]


def _join(parts: Sequence[npt.NDArray[np.generic]], images: int) -> npt.NDArray[np.generic] | None:
    if len({part.shape[1:] for part in parts}) > 1 or sum(map(len, parts)) != images:
        return None
    return np.concatenate(parts)


def _read_maps(rows: Sequence[object]) -> npt.NDArray[np.generic]:
    """Read the classes of the highest of each image's scores, which ZipMap gives by class."""
    maps = [row for row in rows if isinstance(row, dict) and row]
    best = [max(row, key=row.__getitem__) for row in maps]
    return np.array(best if len(best) == len(rows) else [])


def _agree(answers: npt.NDArray[np.int64], scores: npt.NDArray[np.int64], num_classes: int) -> bool:
    """Whether two answers are the same more often than by chance, as an early exit's are."""
    enough = _AGREES + (1 - _AGREES) / num_classes
    return bool(len(answers)) and float((answers == scores).mean()) >= enough

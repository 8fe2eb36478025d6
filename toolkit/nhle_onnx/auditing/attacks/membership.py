"""Membership inference on the forgotten class: was this sample in the training set?

Members are samples that the original was trained on; the others were not used for training. Both
attackers know some of each and are measured on the rest (five folds), which favours the attacker.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.attacks.divergence import to_probabilities
from nhle_onnx.auditing.context import AuditContext, CannotRunError, Target
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.regression import fit_regression
from nhle_onnx.hints import hint
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

FALSE_ALARMS = 0.01
MIN_SAMPLES = 20  # of each kind
_FOLDS = 5
_DRAWS = 1000
_INTERVAL = (2.5, 97.5)
_SMALLEST = 1e-12
_NEIGHBOURS = 3

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


class Leak(NamedTuple):
    """How well members are told from others, with 95 % intervals. Chance is 0.5 and 0.01."""

    balanced_accuracy: float
    balanced_accuracy_interval: tuple[float, float]
    true_alarms: float
    true_alarms_interval: tuple[float, float]


def measure_leak(clues: Array, is_member: npt.NDArray[np.bool_], seed: int) -> Leak:
    """Measure how well a logistic regression tells members from others by clues [N, C]."""
    scores = score_out_of_fold(clues, is_member, seed)
    rng = np.random.default_rng(seed)
    draws = [_draw_both(is_member, rng) for _ in range(_DRAWS)]
    accuracies, alarms = (
        [measure(scores[chosen], is_member[chosen]) for chosen in draws]
        for measure in (measure_balanced_accuracy, measure_true_alarms)
    )
    return Leak(
        measure_balanced_accuracy(scores, is_member),
        _bound(accuracies),
        measure_true_alarms(scores, is_member),
        _bound(alarms),
    )


def score_out_of_fold(clues: Array, is_member: npt.NDArray[np.bool_], seed: int) -> Array:
    """Score how likely each sample is a member (log-odds), by a model not fitted to it, [N]."""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(clues), np.int64)
    for kind in (True, False):
        positions = rng.permutation(np.flatnonzero(is_member == kind))
        folds[positions] = np.arange(len(positions)) % _FOLDS
    scores = np.empty(len(clues))
    for fold in range(_FOLDS):
        known = folds != fold
        judge = fit_regression(
            clues[known], is_member[known].astype(np.int64), 2, inverse_penalty=1.0, balances=True
        )
        logits = judge.score(clues[~known])
        scores[~known] = logits[:, 1] - logits[:, 0]
    return scores


def measure_balanced_accuracy(scores: Array, is_member: npt.NDArray[np.bool_]) -> float:
    """Return the mean of the true positive rate and the true negative rate."""
    called = scores > 0
    return float((called[is_member].mean() + (~called[~is_member]).mean()) / 2)


def measure_true_alarms(scores: Array, is_member: npt.NDArray[np.bool_]) -> float:
    """Return the true positive rate at a threshold that at most 1 % of the others exceed."""
    others = np.sort(scores[~is_member])[::-1]
    allowed = int(FALSE_ALARMS * len(others))
    return float((scores[is_member] > others[allowed]).mean())


def read_confidence(probabilities: Array, classes: Labels) -> Array:
    """Return loss, entropy and highest probability of each sample, [N, 3]."""
    safe = probabilities.clip(_SMALLEST)
    loss = -np.log(safe[np.arange(len(classes)), classes])
    entropy = -(safe * np.log(safe)).sum(1)
    return np.stack([loss, entropy, probabilities.max(1)], axis=1)


def read_neighbours(probabilities: Array, classes: Labels) -> Array:
    """Return the log-probabilities of the three most frequent other classes of each class, [N, 3].
    The class to which a forgotten sample now goes may still reveal whether it was learned.
    """
    clues = np.zeros((len(classes), _NEIGHBOURS))
    for index in np.unique(classes):
        chosen = classes == index
        others = np.delete(probabilities[chosen], index, axis=1)
        others = others / others.sum(1, keepdims=True).clip(_SMALLEST)
        nearest = np.argsort(-others.mean(0), kind="stable")[:_NEIGHBOURS]
        clues[chosen, : len(nearest)] = np.log(others[:, nearest].clip(_SMALLEST))
    return clues


ATTACKS: Mapping[str, Callable[[Array, Labels], Array]] = {
    "confidence": read_confidence,
    "neighbours": read_neighbours,
}


def _draw_both(is_member: npt.NDArray[np.bool_], rng: np.random.Generator) -> Labels:
    """Draw as many members and others as there are, with replacement."""
    kinds = (np.flatnonzero(is_member), np.flatnonzero(~is_member))
    return np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])


def _bound(values: list[float]) -> tuple[float, float]:
    low, high = np.percentile(values, _INTERVAL)
    return float(low), float(high)


def attack_membership(context: AuditContext) -> tuple[Measure, ...]:
    """Run membership inference: can the original's training samples be told from others?"""
    classes, is_member = list_candidates(context)
    measures: list[Measure] = []
    for name, read_clues in ATTACKS.items():
        leaks = {
            role: measure_leak(
                read_clues(read_member_probabilities(context, target), classes),
                is_member,
                context.seed,
            )
            for role, target in context.targets.items()
        }
        measures += describe_leaks(name, leaks)
    return tuple(measures)


def list_candidates(context: AuditContext) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """Return the classes [N] of members and others, and which are members. Raises CannotRunError
    where there are too few of either.
    """
    classes = np.concatenate([context.member_classes, context.classes[context.is_forgotten]])
    is_member = np.arange(len(classes)) < len(context.member_classes)
    if min(is_member.sum(), (~is_member).sum()) < MIN_SAMPLES:
        message = hint(
            f"it needs at least {MIN_SAMPLES} samples of the forgotten classes that the original "
            "was trained on ({members}), and as many that it was not trained on"
        )
        raise CannotRunError(message)
    return classes, is_member


def read_member_probabilities(context: AuditContext, target: Target) -> Array:
    """Return a model's probabilities of members and others, [N, K]."""
    if target.member_answers is None:
        raise CannotRunError("no members were given")
    scores = (target.member_answers.scores, target.answers.scores[context.is_forgotten])
    return to_probabilities(np.concatenate(scores))


def describe_leaks(name: str, leaks: Mapping[Role, Leak]) -> list[Measure]:
    """Return both figures of an attack, each with the edited model's interval."""
    accuracy, alarms = (
        make_measure("membership", f"{name}.{field}", f"{title}, from {name}", {
            role: getattr(leak, field) for role, leak in leaks.items()
        })
        for field, title in (
            ("balanced_accuracy", "members told from others (balanced accuracy)"),
            ("true_alarms", "members found at 1 % false positives"),
        )
    )  # fmt: skip
    edited = leaks["edited"]
    return [
        replace(accuracy, interval=edited.balanced_accuracy_interval),
        replace(alarms, interval=edited.true_alarms_interval),
    ]

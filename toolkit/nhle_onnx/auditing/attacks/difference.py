"""What the original minus the edited model reveals to somebody who has both, or the original and a
patch: which class was forgotten.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.attacks.divergence import measure_divergence, to_probabilities
from nhle_onnx.auditing.context import AuditContext, Target
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role


def measure_row_changes(rows: HeadRows, original: HeadRows) -> npt.NDArray[np.float64]:
    """Return how far each class's row and bias moved, in lengths of the original row, [K]."""
    moved = np.linalg.norm(rows.weight - original.weight, axis=1) + abs(rows.bias - original.bias)
    lengths = np.linalg.norm(original.weight, axis=1)
    changes: npt.NDArray[np.float64] = moved / np.maximum(lengths, 1e-12)
    return changes


def measure_answer_changes(
    features: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    target: Target,
    rows: HeadRows,
) -> npt.NDArray[np.float64]:
    """Return how much the answers to each class's images changed, [K], under the original's head:
    what a mask changes does not count.
    """
    wide = target.answers.features.astype(np.float64)
    before = to_probabilities(wide @ rows.weight.T + rows.bias)
    after = to_probabilities(features.astype(np.float64) @ rows.weight.T + rows.bias)
    changes = measure_divergence(before, after)
    return np.array(
        [changes[classes == index].mean() if (classes == index).any() else 0.0
         for index in range(len(rows.bias))]
    )  # fmt: skip


def guess_largest(changes: npt.NDArray[np.float64], count: int) -> tuple[int, ...]:
    """Return the `count` classes that changed most; none where nothing changed."""
    if not changes.any():
        return ()
    order = np.argsort(-changes, kind="stable")
    return tuple(sorted(int(index) for index in order[:count]))


def attack_difference(context: AuditContext) -> tuple[Measure, ...]:
    """Guess the class from what changed: in the head, and in the features."""
    heads, answers = _compare_heads(context), _compare_answers(context)
    return (
        *_measure_guess(context, "head", "the row of the head that changed most", heads),
        *_measure_guess(context, "answers", "whose images' features changed most", answers),
        *_read_patch(context),
    )


def _measure_guess(
    context: AuditContext, name: str, clue: str, changes: Mapping[Role, npt.NDArray[np.float64]]
) -> tuple[Measure, ...]:
    if "edited" not in changes:
        return ()
    guessed = {
        role: float(guess_largest(found, len(context.forgotten)) == context.forgotten)
        for role, found in changes.items()
    }
    title = f"the class can be guessed from {clue}"
    return (make_measure("difference", f"guessed_from_{name}", title, guessed, places=False),)


def _read_patch(context: AuditContext) -> tuple[Measure, ...]:
    """Measure whether the patch says it in words."""
    if context.named_by_patch is None:
        return ()
    named: dict[Role, float | None] = {"edited": float(context.named_by_patch == context.forgotten)}
    title = "the patch names the class in its manifest"
    return (make_measure("difference", "named_by_patch", title, named, places=False),)


def _list_comparable(context: AuditContext) -> dict[Role, Target]:
    """List the models whose head has the original's shape."""
    shape = context.targets["original"].head.rows.weight.shape
    return {
        role: target
        for role, target in context.targets.items()
        if target.head.rows.weight.shape == shape
    }


def _compare_heads(context: AuditContext) -> dict[Role, npt.NDArray[np.float64]]:
    rows = context.targets["original"].head.rows
    return {
        role: measure_row_changes(target.head.rows, rows)
        for role, target in _list_comparable(context).items()
    }


def _compare_answers(context: AuditContext) -> dict[Role, npt.NDArray[np.float64]]:
    original = context.targets["original"]
    return {
        role: measure_answer_changes(
            target.answers.features, context.classes, original, original.head.rows
        )
        for role, target in _list_comparable(context).items()
    }

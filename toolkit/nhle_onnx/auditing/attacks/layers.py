"""New heads on every layer from the middle on, trained with few images; and how much of what a
layer makes of the class stayed as it was (CKA, Kornblith et al., 2019).
"""

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.auditing.layers import Layer, list_late_layers, read_layers
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.regression import fit_regression
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

SHOTS = (1, 5, 16)  # images of each class
ALL = 200  # images of each class, at most
_DRAWS = 3  # of few images; more for fewer
_MOST_DRAWS = 10
_COMPARED = 500  # images of the class, for CKA

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def attack_layers(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with new linear heads on what late layers read, and on the head's features."""
    found = {role: _list_layers(context, role) for role in context.targets}
    counts = {role: len(layers) for role, layers in found.items()}
    if counts["edited"] != counts["original"]:
        raise CannotRunError("the edited model has other layers than the original")
    chosen = _choose(context)
    features = {
        role: _read(context, role, layers, chosen)
        for role, layers in found.items()
        if len(layers) == counts["edited"]  # those of another architecture cannot be matched
    }
    titles = [f"layer {each.position} of {each.total}" for each in found["edited"]]
    names = [f"layer_{each.position}" for each in found["edited"]]
    return tuple(
        measure
        for place, (name, title) in enumerate(
            zip([*names, "head"], [*titles, "the head"], strict=True)
        )
        for measure in _measure_layer(
            context, chosen, name, title, {role: each[place] for role, each in features.items()}
        )
    )


def measure_few(
    features: Features,
    classes: Labels,
    is_attack: npt.NDArray[np.bool_],
    forgotten: Sequence[int],
    *,
    shots: int,
    seed: int,
) -> float:
    """Return the recall of the forgotten classes by a linear head that was trained on `shots` of
    the attacker's images a class, as a mean over some draws.
    """
    judged = ~is_attack & np.isin(classes, forgotten)
    draws = 1 if shots >= ALL else min(_MOST_DRAWS, _DRAWS * max(SHOTS) // shots)
    hits = []
    for draw in range(draws):
        known = _draw(classes, is_attack, shots, np.random.default_rng([seed, draw]))
        numbers = np.unique(classes[known], return_inverse=True)
        head = fit_regression(features[known], numbers[1].astype(np.int64), len(numbers[0]))
        answers = numbers[0][head.score(features[judged]).argmax(1)]
        hits.append(float((answers == classes[judged]).mean()))
    return fmean(hits)


def measure_cka(features: Features, others: Features) -> float:
    """Return linear CKA of features [N, D] and [N, E]: 1 if they are the same up to a rotation and
    a factor, 0 if they have nothing in common.
    """
    first, second = (each.astype(np.float64) - each.mean(0) for each in (features, others))
    grams = [each @ each.T for each in (first, second)]
    product = float(np.linalg.norm(grams[0]) * np.linalg.norm(grams[1]))
    return float((grams[0] * grams[1]).sum() / product) if product else 0.0


def _list_layers(context: AuditContext, role: Role) -> tuple[Layer, ...]:
    target = context.targets[role]
    heads = [part.features for part in target.layout.all_parts]
    return list_late_layers(target.model.proto, target.image_input.name, heads)


def _choose(context: AuditContext) -> npt.NDArray[np.int64]:
    """Choose the images that are read: some of each class for the attacker, those to judge."""
    attack = _draw(context.classes, context.is_attack, ALL, np.random.default_rng(context.seed))
    return np.sort(np.concatenate([attack, np.flatnonzero(context.is_judge)]))


def _draw(
    classes: Labels, allowed: npt.NDArray[np.bool_], count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    groups = [np.flatnonzero(allowed & (classes == index)) for index in np.unique(classes)]
    return np.concatenate([rng.permutation(group)[:count] for group in groups])


def _read(
    context: AuditContext, role: Role, layers: tuple[Layer, ...], chosen: npt.NDArray[np.int64]
) -> tuple[Features, ...]:
    target = context.targets[role]
    late: tuple[Features, ...] = ()
    if layers:
        late = read_layers(
            target, layers, context.inputs[chosen],
            provider=context.provider, kernels=context.kernels, batch_size=context.batch_size,
        )  # fmt: skip
    return (*late, target.answers.features[chosen])


def _measure_layer(
    context: AuditContext,
    chosen: npt.NDArray[np.int64],
    name: str,
    title: str,
    features: dict[Role, Features],
) -> Iterator[Measure]:
    classes, is_attack = context.classes[chosen], context.is_attack[chosen]
    for shots in (*SHOTS, ALL):
        recalls = {
            role: measure_few(
                each, classes, is_attack, context.forgotten, shots=shots, seed=context.seed
            )
            for role, each in features.items()
        }
        few = f"up to {shots} images" if shots == ALL else f"{shots} image{'s' * (shots > 1)}"
        yield make_measure(
            "layers",
            f"{name}.recall_{shots}",
            f"recall of a new linear head on what {title} reads, {few} a class",
            recalls,
        )
    judged = np.flatnonzero(context.is_judge[chosen])[:_COMPARED]
    original = features["original"][judged]
    alike = {role: measure_cka(each[judged], original) for role, each in features.items()}
    yield make_measure(
        "layers", f"{name}.cka", f"likeness to the original of what {title} reads (CKA)", alike
    )

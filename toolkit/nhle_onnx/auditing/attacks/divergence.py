"""How two models' answers differ: Jensen-Shannon divergence and ZRF (Chundawat et al., 2023)."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext, read_answers
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.untrained import reset_weights
from nhle_onnx.values.audit import Measure

Probabilities = npt.NDArray[np.float64]


def to_probabilities(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Return the softmax of scores [N, K]."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return shares


def measure_divergence(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    """Return the Jensen-Shannon divergence of each row, in bits, from 0 to 1. It is symmetric: both
    terms contain the mixture, which some published code gets wrong.
    """
    mixture = (first + second) / 2
    bits = (_relative_entropy(first, mixture) + _relative_entropy(second, mixture)) / 2
    return bits.clip(min=0)  # rounding may leave a value slightly below 0


def measure_zrf(probabilities: Probabilities, untrained: Probabilities) -> float:
    """Return the zero-retrain forgetting score: 1 where the model answers as an untrained one."""
    return float(1 - measure_divergence(probabilities, untrained).mean())


def _relative_entropy(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    terms = np.zeros_like(first)
    present = (first > 0) & (second > 0)  # half of the smallest number is 0
    terms[present] = first[present] * np.log2(first[present] / second[present])
    bits: npt.NDArray[np.float64] = terms.sum(axis=1)
    return bits


def compare_answers(context: AuditContext) -> tuple[Measure, ...]:
    """Measure output divergence on samples of the forgotten classes."""
    answers = {
        role: to_probabilities(target.answers.scores[context.is_judge])
        for role, target in context.targets.items()
    }
    original = context.targets["original"]
    untrained = reset_weights(original.model.proto, original.layout, context.seed)
    scores = read_answers(
        untrained, original.layout, original.image_input, context.inputs[context.is_judge],
        provider=context.provider, kernels=context.kernels, batch_size=context.batch_size,
    ).scores  # fmt: skip
    random = to_probabilities(scores)
    zrf = {role: measure_zrf(found, random) for role, found in answers.items()}
    measures = [make_measure("divergence", "zrf", "likeness to an untrained network (ZRF)", zrf)]
    if "reference" in answers:
        distances = {
            role: float(measure_divergence(found, answers["reference"]).mean())
            for role, found in answers.items()
        }
        title = "difference from the retrained model's answers (JS, bits)"
        measures.append(make_measure("divergence", "js_to_reference", title, distances))
    return tuple(measures)

"""How two models' answers differ: Jensen-Shannon divergence and ZRF (Chundawat et al., 2023)."""

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float64]


def to_probabilities(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Softmax of [N, K]."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return shares


def measure_divergence(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    """Jensen-Shannon divergence of each row, in bits, 0 to 1. Symmetric: the mixture stands in
    both terms, which some published code gets wrong.
    """
    mixture = (first + second) / 2
    return (_relative_entropy(first, mixture) + _relative_entropy(second, mixture)) / 2


def measure_zrf(probabilities: Probabilities, untrained: Probabilities) -> float:
    """Zero-retrain forgetting: 1 where the model answers as one that was never trained."""
    return float(1 - measure_divergence(probabilities, untrained).mean())


def _relative_entropy(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    terms = np.zeros_like(first)
    present = first > 0
    terms[present] = first[present] * np.log2(first[present] / second[present])
    bits: npt.NDArray[np.float64] = terms.sum(axis=1)
    return bits

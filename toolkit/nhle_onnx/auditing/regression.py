"""Logistic regression, for the linear probe and for membership attacks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

_ITERATIONS = 200
_TOLERANCE = 1e-7


class Regression(NamedTuple):
    """A model that standardises features, then scores classes: weight [K, D], bias [K]."""

    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def score(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return logits [N, K] of features [N, D]."""
        standard = (features.astype(np.float64) - self.mean) / self.spread
        scores: npt.NDArray[np.float64] = standard @ self.weight.T + self.bias
        return scores


def fit_regression(
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    num_classes: int,
    *,
    inverse_penalty: float = 0.1,
    balances: bool = False,
    offset: npt.NDArray[np.float64] | None = None,
) -> Regression:
    """Minimise C Σ cross-entropy + ½ ‖weight‖², where C is `inverse_penalty`; the problem is
    convex. With `balances`, each class has the same total weight, however many samples it has.
    An `offset` [N, K] is added to the logits while fitting, and is no part of the result.
    """
    wide = features.astype(np.float64)
    mean, spread = wide.mean(0), wide.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    inputs = torch.from_numpy((wide - mean) / spread)
    labels = torch.from_numpy(classes)
    counts = torch.bincount(labels, minlength=num_classes).double()
    shares = len(labels) / (len(counts.nonzero()) * counts[labels])
    importance = shares if balances else torch.ones(len(labels), dtype=torch.float64)
    given = torch.zeros(()) if offset is None else torch.from_numpy(offset)
    weight = torch.zeros(num_classes, inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=_TOLERANCE, tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def measure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = inputs @ weight.T + bias + given
        losses = functional.cross_entropy(logits, labels, reduction="none")
        penalty = weight.square().sum() / (2 * inverse_penalty)
        loss = ((losses * importance).sum() + penalty) / len(labels)
        loss.backward()
        return loss

    optimizer.step(measure)
    return Regression(mean, spread, weight.detach().numpy(), bias.detach().numpy())

"""Whether a masked class can still win, for any features that a quantized layer can be given."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

Array = npt.NDArray[np.floating]


def find_lowest_best(weight: Array, bias: Array, low: float, high: float) -> float:
    """The minimum over features x of max_k (weight_k · x + bias_k): no input can bring every class
    below it. Weight [K, D], bias [K]; each feature is between `low` and `high`.

    A linear programme: minimise t subject to weight x + bias ≤ t.
    """
    count, width = weight.shape
    solution = linprog(
        np.append(np.zeros(width), 1.0),
        A_ub=np.hstack([weight, -np.ones((count, 1))]),
        b_ub=-bias,
        bounds=[(low, high)] * width + [(None, None)],
        method="highs",
    )
    return float(solution.fun) if solution.success else -np.inf

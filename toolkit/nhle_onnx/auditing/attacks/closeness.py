"""Is the edited model closer to the retrained or to the original? A test with three samples.

Relative maximum mean discrepancy (Bounliphone et al., "A test of relative similarity for model
selection in generative models", 2016), on answers to images of the forgotten classes. Each model
answers another third of the images, so that the three samples are independent.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from scipy.stats import norm

from nhle_onnx.auditing.attacks.divergence import to_probabilities
from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.text import format_percent
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

ERROR_RATE = 0.05  # how often the test may say "closer to retrained" where it is not
_FEWEST = 10  # images in each third
_MOST = 500
_DRAWS = 200  # of the bootstrap

Array = npt.NDArray[np.float64]


class Closeness(NamedTuple):
    """By how much the first sample is closer to the second than to the third (`lead`), and how
    likely a lead as large as this would be if it were not closer (`p_value`).
    """

    lead: float
    p_value: float


def compare_closeness(sample: Array, second: Array, third: Array, seed: int) -> Closeness:
    """Compare samples [N, D] by their kernel distances; the spread is found by bootstrap."""
    kernels = _make_kernels(sample, second, third)
    rng = np.random.default_rng(seed)
    sizes = [len(each) for each in (sample, second, third)]
    lead = _measure_lead(kernels, [np.arange(size) for size in sizes])
    draws = [
        _measure_lead(kernels, [rng.integers(0, size, size) for size in sizes])
        for _ in range(_DRAWS)
    ]
    spread = float(np.std(draws))
    return Closeness(lead, float(norm.sf(lead / spread)) if spread else float(lead <= 0))


class _Kernels(NamedTuple):
    second: Array
    third: Array
    to_second: Array
    to_third: Array


def _make_kernels(sample: Array, second: Array, third: Array) -> _Kernels:
    """Gaussian kernels, as wide as the median distance within all samples."""
    everything = np.concatenate([sample, second, third])
    distances = cdist(everything, everything, "sqeuclidean")
    width = float(np.median(distances[distances > 0])) if distances.any() else 1.0

    def measure(first: Array, other: Array) -> Array:
        near: Array = np.exp(-cdist(first, other, "sqeuclidean") / width)
        return near

    return _Kernels(
        measure(second, second),
        measure(third, third),
        measure(sample, second),
        measure(sample, third),
    )


def _measure_lead(kernels: _Kernels, chosen: list[npt.NDArray[np.int64]]) -> float:
    """Return the squared distance to the third sample minus that to the second."""
    own, second, third = chosen
    to_second = (
        _mean_apart(kernels.second, second) - 2 * kernels.to_second[np.ix_(own, second)].mean()
    )
    to_third = _mean_apart(kernels.third, third) - 2 * kernels.to_third[np.ix_(own, third)].mean()
    return float(to_third - to_second)


def _mean_apart(kernel: Array, chosen: npt.NDArray[np.int64]) -> float:
    """Return the mean over pairs of different draws: unbiased where no image was drawn twice."""
    found = kernel[np.ix_(chosen, chosen)]
    count = len(found)
    return float((found.sum() - np.trace(found)) / (count * (count - 1)))


def compare_to_both(context: AuditContext) -> tuple[Measure, ...]:
    """Test whether each model is closer to the reference, if there is one, than to the original."""
    if "reference" not in context.targets:
        return ()
    rng = np.random.default_rng(context.seed)
    images = rng.permutation(np.flatnonzero(context.is_judge))[: 3 * _MOST]
    thirds = np.array_split(images, 3)
    if min(map(len, thirds)) < _FEWEST:
        raise CannotRunError(f"it needs {3 * _FEWEST} images of the class for measuring")
    own, second, third = thirds
    found = {
        role: compare_closeness(
            _read(context, role, own),
            _read(context, "reference", second),
            _read(context, "original", third),
            context.seed,
        )
        for role in context.targets
    }
    title = (
        "p-value of 'closer to retrained than to original' "
        f"(below {ERROR_RATE}: closer, which is wrong in at most "
        f"{format_percent(ERROR_RATE)} of cases)"
    )
    values = {role: each.p_value for role, each in found.items()}
    return (make_measure("closeness", "p_value", title, values, places=False),)


def _read(context: AuditContext, role: Role, images: npt.NDArray[np.int64]) -> Array:
    return to_probabilities(context.targets[role].answers.scores[images])

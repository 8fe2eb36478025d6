"""What a number of images can show: confidence intervals of an accuracy, and of its change.

A bound is one-sided, an interval two-sided, both at 95 %.
"""

import math

from nhle_onnx.values.verdict import Evidence

CONFIDENCE = 0.95
_ONE_SIDED, _TWO_SIDED = 1.6448536269514722, 1.959963984540054  # of the normal distribution


def bound_share(hits: int, count: int) -> float:
    """Return the upper end of the exact one-sided interval (Clopper and Pearson) of hits / count:
    about 3 / count without a hit, and 1 if nothing was counted.
    """
    return 1.0 if hits >= count else _invert(hits + 1, count - hits, CONFIDENCE)


def bound_share_below(hits: int, count: int) -> float:
    """Return the lower end, as `bound_share` returns the upper one."""
    return 1 - bound_share(count - hits, count)


def describe_share(hits: int, count: int, *, is_bad_high: bool = True) -> Evidence:
    """Describe a share hits / count, with a bound from above, or else from below."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if hits == 0 else _invert(hits, count - hits + 1, tail)
    high = 1.0 if hits >= count else _invert(hits + 1, count - hits, 1 - tail)
    bound = bound_share(hits, count) if is_bad_high else bound_share_below(hits, count)
    return Evidence(images=count, interval=(low, high), bound=bound)


def describe_change(before: float, after: float, count: int) -> Evidence:
    """Describe a change of accuracy on `count` images, with a bound from below.

    Newcombe's interval of two shares (1998, method 10) assumes different images for each share.
    Here they are the same images, with mostly the same answers, so the true interval is narrower.
    """
    low, high = (_bound_change(before, after, count, _TWO_SIDED, sign) for sign in (-1, 1))
    bound = _bound_change(before, after, count, _ONE_SIDED, -1)
    return Evidence(images=count, interval=(low, high), bound=bound)


def count_needed(bound: float) -> int:
    """Return how many images without a hit are needed to bound a share by `bound`."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-bound)) if bound > 0 else 0


def _bound_change(was: float, now: float, count: int, z: float, sign: int) -> float:
    """Return the lower end if the sign is negative, else the upper one; `count` is positive."""
    reached = _wilson(now, count, z, sign) - now
    left = was - _wilson(was, count, z, -sign)
    return now - was + sign * math.hypot(reached, left)


def _wilson(share: float, count: int, z: float, sign: int) -> float:
    """Return one end of Wilson's interval."""
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (share + z * z / (2 * count) + sign * half) / (1 + z * z / count)


def _invert(a: int, b: int, probability: float) -> float:
    # scipy takes a while to import, and only judging needs it
    from scipy.special import betaincinv  # noqa: PLC0415

    return float(betaincinv(a, b, probability))

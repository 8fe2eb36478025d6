"""What a count of images can show: exact intervals of an accuracy, and of a change of it.

A bound is one-sided, an interval two-sided, both at 95 %.
"""

import math

from nhle_onnx.values.verdict import Evidence

CONFIDENCE = 0.95
_ONE_SIDED, _TWO_SIDED = 1.6448536269514722, 1.959963984540054  # of the normal distribution


def bound_share(hits: int, count: int) -> float:
    """The upper end of the exact one-sided interval (Clopper and Pearson) of hits / count; near
    3 / count where there is no hit, and 1 where nothing was counted.
    """
    return 1.0 if hits >= count else _invert(hits + 1, count - hits, CONFIDENCE)


def bound_share_below(hits: int, count: int) -> float:
    """The lower end, as `bound_share` gives the upper one."""
    return 1 - bound_share(count - hits, count)


def describe_share(hits: int, count: int, *, is_bad_high: bool = True) -> Evidence:
    """The evidence of a share hits / count, bounded from above, or else from below."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if hits == 0 else _invert(hits, count - hits + 1, tail)
    high = 1.0 if hits >= count else _invert(hits + 1, count - hits, 1 - tail)
    bound = bound_share(hits, count) if is_bad_high else bound_share_below(hits, count)
    return Evidence(images=count, interval=(low, high), bound=bound)


def describe_change(before: float, after: float, count: int) -> Evidence:
    """The evidence of a change of accuracy on `count` images, bounded from below.

    Newcombe's interval of two shares (1998, method 10), as if both were of different images. They
    are of the same, and mostly answered alike, so that the true interval is narrower.
    """
    low, high = (_bound_change(before, after, count, _TWO_SIDED, sign) for sign in (-1, 1))
    bound = _bound_change(before, after, count, _ONE_SIDED, -1)
    return Evidence(images=count, interval=(low, high), bound=bound)


def count_needed(bound: float) -> int:
    """How many images without a hit bound a share by `bound`."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-bound)) if bound > 0 else 0


def _bound_change(was: float, now: float, count: int, z: float, sign: int) -> float:
    """Count > 0; the lower end where the sign is negative, else the upper one."""
    reached = _wilson(now, count, z, sign) - now
    left = was - _wilson(was, count, z, -sign)
    return now - was + sign * math.hypot(reached, left)


def _wilson(share: float, count: int, z: float, sign: int) -> float:
    """One end of Wilson's interval."""
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (share + z * z / (2 * count) + sign * half) / (1 + z * z / count)


def _invert(a: int, b: int, probability: float) -> float:
    # scipy takes a while to import, and only judging needs it
    from scipy.special import betaincinv  # noqa: PLC0415

    return float(betaincinv(a, b, probability))

"""Where an edited model stands between the original, 0, and a retrained one, 1."""

import math

NEARER = 0.5  # above it, a figure is nearer to the retrained model's than to the original's
RESOLUTION = 0.02  # of shares: if closer than this, original and retrained cannot be told apart
_TWO_SIDED = 1.96  # standard deviations that hold 95 % of a normal distribution


def place(
    original: float | None,
    edited: float | None,
    reference: float | None,
    *,
    resolution: float = RESOLUTION,
) -> float | None:
    """Return the position; None where a figure is missing, or where the two ends are too close.

    Below 0, the edit made things worse; above 1, it went beyond retraining.
    """
    if original is None or edited is None or reference is None:
        return None
    span = reference - original
    if abs(span) <= resolution:
        return None
    return (edited - original) / span + 0.0  # never -0


def find_resolution(share: float | None, other: float | None, images: int) -> float:
    """Return the least difference of two shares that so many images show, with 95 % confidence."""
    variances = [each * (1 - each) for each in (share, other) if each is not None]
    return max(RESOLUTION, _TWO_SIDED * math.sqrt(sum(variances) / max(1, images)))

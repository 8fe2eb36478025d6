"""Where an edited model stands between the original, 0, and a retrained one, 1."""

NEARER = 0.5  # above it, a figure is nearer to the retrained model's than to the original's
RESOLUTION = 0.02  # for fractions: if closer than this, original and retrained cannot be told apart


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

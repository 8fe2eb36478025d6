"""Updates of floats in whole steps, so that a patch only has to store small integers.

A step is a power of two, so multiples of it are exact, and the sum is rounded as IEEE 754 says: the
same on every machine.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_SHARE = 4  # steps in the root mean square of an update
_MOST = 2**15  # steps in either direction


def round_update(old: Floats, new: Floats) -> Floats:
    """Round new values so that their differences from the old ones are whole steps. A step is an
    eighth to a quarter of the update's root mean square, so rounding changes the update by 4 to 7 %
    of that.
    """
    exponent = _find_exponent(old, new)
    if exponent is None:
        return new
    counts = np.rint((new.astype(np.float64) - old) * 2.0**-exponent)
    return add_steps(old, counts.clip(-_MOST, _MOST - 1), exponent)


def find_steps(old: Floats, new: Floats) -> tuple[npt.NDArray[np.int32], int] | None:
    """Find integers k and an exponent e with old + k · 2ᵉ = new, bit for bit. None if
    `round_update` could not have made such an update.
    """
    guess = _find_exponent(old, new)
    if guess is None:
        return None
    for exponent in (guess + 1, guess, guess - 1):
        counts = np.rint((new.astype(np.float64) - old) * 2.0**-exponent)
        if np.abs(counts).max(initial=0) >= _MOST:
            continue
        if add_steps(old, counts, exponent).tobytes() == new.tobytes():
            return counts.astype(np.int32), exponent
    return None


def add_steps(old: Floats, counts: npt.NDArray[np.number], exponent: int) -> Floats:
    """Add whole steps of 2ᵉ to the old values."""
    moved = counts.astype(np.float32)
    moved *= np.float32(2.0**exponent)  # exact
    moved += old
    return moved


def _find_exponent(old: Floats, new: Floats) -> int | None:
    with np.errstate(all="ignore"):
        size = float(np.sqrt(np.mean((new.astype(np.float64) - old) ** 2)))
    if not 0 < size < np.inf:
        return None
    exponent = int(np.floor(np.log2(size / _SHARE)))
    return exponent if abs(exponent) < 100 else None  # noqa: PLR2004 - far from float32's ends

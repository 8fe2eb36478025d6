"""Which images go into a kit."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.request import ForgetRequest

MOST_IMAGES = 200
MOST_BYTES = 32 * 2**20
_FORGOTTEN = 60  # of each forgotten class, if there are so many: enough to carry a verdict


def choose_limit(image_bytes: int) -> int:
    """How many images keep a kit small."""
    return max(1, min(MOST_IMAGES, MOST_BYTES // image_bytes))


def pick_images(
    classes: npt.NDArray[np.int64], request: ForgetRequest, limit: int
) -> npt.NDArray[np.int64]:
    """Positions of at most `limit` images, as evenly over all classes as there are images.

    Of each class the first ones. Forgotten classes get up to 60 each before others get any, as
    long as that is no more than half of all.
    """
    ranks = np.empty(len(classes), np.int64)
    for index in np.unique(classes):
        is_own = classes == index
        ranks[is_own] = np.arange(is_own.sum())
    least = min(_FORGOTTEN, max(1, limit // (2 * len(request.forget))))
    is_first = np.isin(classes, request.forget) & (ranks < least)
    order = np.lexsort((classes, ranks, ~is_first))
    return np.sort(order[:limit])

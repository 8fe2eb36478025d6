"""Which images go into a kit."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.request import ForgetRequest

MOST_IMAGES = 200
MOST_BYTES = 32 * 2**20
_FORGOTTEN = 60  # of each forgotten class, if there are so many: enough for a verdict


def choose_limit(image_bytes: int) -> int:
    """Return the number of images that keeps a kit small."""
    return max(1, min(MOST_IMAGES, MOST_BYTES // image_bytes))


def pick_images(
    classes: npt.NDArray[np.int64], request: ForgetRequest, limit: int
) -> npt.NDArray[np.int64]:
    """Return positions of at most `limit` images, spread over all classes as evenly as possible.

    These are the first images of each class. Forgotten classes get up to 60 each before the others
    get any, as long as that is at most half of all.
    """
    ranks = np.empty(len(classes), np.int64)
    for index in np.unique(classes):
        is_own = classes == index
        ranks[is_own] = np.arange(is_own.sum())
    least = min(_FORGOTTEN, max(1, limit // (2 * len(request.forget))))
    is_first = np.isin(classes, request.forget) & (ranks < least)
    order = np.lexsort((classes, ranks, ~is_first))
    return np.sort(order[:limit])

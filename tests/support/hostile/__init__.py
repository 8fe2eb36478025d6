"""Files that strangers could send, and what must become of them."""

from support.hostile import (
    arrays,
    bombs,
    functions,
    graphs,
    images,
    names,
    patches,
    sidecars,
    tensors,
)
from support.hostile.case import HostileFile

CASES: tuple[HostileFile, ...] = (
    *sidecars.CASES,
    *tensors.CASES,
    *graphs.CASES,
    *bombs.CASES,
    *functions.CASES,
    *names.CASES,
    *patches.CASES,
    *images.CASES,
    *arrays.CASES,
)

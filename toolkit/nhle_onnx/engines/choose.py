"""Opening an engine by the name that a user gives.

To add one, write a file with a class that is an `Engine`, and add a row to `ENGINES`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from nhle_onnx.engines.engine import Engine
from nhle_onnx.engines.processes import Processes
from nhle_onnx.engines.serial import SerialEngine
from nhle_onnx.errors import UsageError
from nhle_onnx.values.cores import count_cores

_RAY = "ray"
_ADDRESS = "://"


class Kind(NamedTuple):
    """How to open an engine, given its address and its number of workers; both may be None."""

    open: Callable[[str | None, int | None], AbstractContextManager[Engine]]
    has_address: bool = False


def _connect_ray(address: str | None, workers: int | None) -> AbstractContextManager[Engine]:
    from nhle_onnx.engines.ray_cluster import connect_ray  # noqa: PLC0415 - an extra, and slow

    return connect_ray(address, workers)


ENGINES: dict[str, Kind] = {
    "local": Kind(lambda _address, _workers: nullcontext(SerialEngine())),
    "processes": Kind(lambda _address, workers: nullcontext(Processes(workers or count_cores()))),
    _RAY: Kind(_connect_ray, has_address=True),
}


def check_engine(name: str) -> str:
    """Return the name if it names an engine. Raises UsageError otherwise."""
    scheme, separator, address = name.partition(_ADDRESS)
    kind = ENGINES.get(scheme)
    if kind is None or (separator and not (kind.has_address and address.strip("/"))):
        message = f"there is no engine {name!r}"
        places = [f"{each}{_ADDRESS}HOST:PORT" for each in ENGINES if ENGINES[each].has_address]
        names = ", ".join([*ENGINES, *places[:-1]])
        raise UsageError(message, remedy=f"Give {names}, or {places[-1]}.")
    return name


def is_ray(name: str) -> bool:
    """Whether a name stands for Ray."""
    return name.partition(_ADDRESS)[0] == _RAY


@contextmanager
def open_engine(name: str, workers: int | None = None) -> Iterator[Engine]:
    """Open the named engine with so many workers, by default one for each core.

    Raises UsageError for an unknown name, and DeviceUnavailableError where Ray is not available.
    """
    scheme, _, address = check_engine(name).partition(_ADDRESS)
    with ENGINES[scheme].open(address or None, workers) as engine:
        yield engine

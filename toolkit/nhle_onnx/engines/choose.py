"""An engine by the name that a user gives it."""

from collections.abc import Iterator
from contextlib import contextmanager

from nhle_onnx.engines.engine import Engine
from nhle_onnx.engines.processes import Processes
from nhle_onnx.engines.serial import SerialEngine
from nhle_onnx.errors import UsageError
from nhle_onnx.values.cores import count_cores

_RAY = "ray"
_PREFIX = "ray://"


def check_engine(name: str) -> str:
    """A name as it is, if it names an engine. Raises UsageError."""
    if name not in {"local", "processes", _RAY} and not name[len(_PREFIX) :].strip("/"):
        message = f"there is no engine {name!r}"
        raise UsageError(message, remedy="Give local, processes, ray, or ray://HOST:PORT.")
    return name


def is_ray(name: str) -> bool:
    """Whether an engine's name is one of Ray's."""
    return name == _RAY or name.startswith(_PREFIX)


@contextmanager
def open_engine(name: str, workers: int | None = None) -> Iterator[Engine]:
    """The engine of a name, with so many workers (by default, one a core), until it is left.

    Raises UsageError for no engine's name, and DeviceUnavailableError where Ray is not there.
    """
    check_engine(name)
    if name == "local":
        yield SerialEngine()
    elif name == "processes":
        yield Processes(workers or count_cores())
    else:
        from nhle_onnx.engines.ray_cluster import connect_ray  # noqa: PLC0415 - an extra, and slow

        with connect_ray(name.removeprefix(_RAY).removeprefix("://") or None, workers) as engine:
            yield engine

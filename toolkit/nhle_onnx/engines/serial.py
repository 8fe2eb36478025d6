"""Jobs one after the other, in this process."""

from collections.abc import Callable, Generator, Mapping

from nhle_onnx.engines.engine import Job, Outcome, Value, settle


class SerialEngine:
    """The engine without further processes. A job that kills its process kills the program."""

    workers = 1

    def run(
        self,
        function: Callable[[Job], Value],
        jobs: Mapping[str, Job],
        retries: int,  # noqa: ARG002 - the only process is this one
    ) -> Generator[Outcome[Value]]:
        """As `Engine.run`."""
        for key, job in jobs.items():
            yield settle(function, key, job)

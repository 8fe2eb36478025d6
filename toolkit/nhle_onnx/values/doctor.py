"""What works on this machine. The fields are those of the JSON output."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Whether a provider or device truly computes here, or why not.

    `is_used`: commands can be told to use it. `is_needed`: the defaults or the user's flags use it.
    """

    name: str
    works: bool
    is_used: bool
    is_needed: bool
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """The whole report of `doctor`.

    `providers` are ONNX Runtime's, `devices` torch's. `saturates`: ONNX Runtime's default kernels
    saturate sums of uint8 × int8 here. `extras` says which are installed, `notes` what to do.
    """

    schema: str = "nhle-onnx/doctor/v1"
    tool: dict[str, str]
    environment: dict[str, str]
    has_nvidia_driver: bool
    providers: tuple[Trial, ...]
    devices: tuple[Trial, ...]
    saturates: bool
    extras: dict[str, bool]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that is needed works."""
        return all(trial.works for trial in (*self.providers, *self.devices) if trial.is_needed)

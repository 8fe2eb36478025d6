"""doctor: what really works on this machine. Imports torch only to try it."""

from importlib.util import find_spec

from nhle_onnx.runtime.kernels import saturates
from nhle_onnx.runtime.native import CPU, CUDA
from nhle_onnx.runtime.providers import find_provider_fault, has_cuda_driver, list_providers
from nhle_onnx.values.doctor import DoctorReport, Trial
from nhle_onnx.values.places import Device, Provider
from nhle_onnx.workflows.classifier import TOOL, list_environment
from nhle_onnx.workflows.observer import Observer

_EXTRAS = {"sign": "model_signing", "ray": "ray", "openvino": "openvino"}


def examine_machine(provider: Provider, device: Device, observer: Observer) -> DoctorReport:
    """Try every provider and device. One that does not work is a result, not an error.

    The CPU is always needed, CUDA only if `provider` or `device` says so.
    """
    observer.start_stage("trying ONNX Runtime")
    providers = tuple(
        Trial(
            name=name,
            works=(fault := find_provider_fault(name)) is None,
            is_used=name in {CPU, CUDA},
            is_needed=name == CPU or (name == CUDA and provider == "cuda"),
            fault=fault,
        )
        for name in list_providers()
    )
    observer.start_stage("trying torch, which takes seconds to start")
    devices = _try_devices(device)
    environment = list_environment()
    return DoctorReport(
        tool=TOOL,
        environment=environment,
        has_nvidia_driver=has_cuda_driver(),
        providers=providers,
        devices=devices,
        saturates=saturates(),
        extras={extra: find_spec(package) is not None for extra, package in _EXTRAS.items()},
        notes=_advise(environment, (*providers, *devices), has_driver=has_cuda_driver()),
    )


def _try_devices(device: Device) -> tuple[Trial, ...]:
    try:
        from nhle_onnx.training.trial import DEVICES, find_device_fault  # noqa: PLC0415
    except Exception as error:  # noqa: BLE001 - a broken torch fails in its own ways
        reason = f"torch cannot be imported: {' '.join(str(error).split())}"
        return (Trial(name="cpu", works=False, is_used=True, is_needed=True, fault=reason),)
    return tuple(
        Trial(
            name=name,
            works=(fault := find_device_fault(name)) is None,
            is_used=name != "mps",
            is_needed=name in {"cpu", device},
            fault=fault,
        )
        for name in dict.fromkeys((*DEVICES, *({device} - {"auto"})))
    )


def _advise(
    environment: dict[str, str], trials: tuple[Trial, ...], *, has_driver: bool
) -> tuple[str, ...]:
    notes = []
    if {"onnxruntime", "onnxruntime-gpu"} <= environment.keys():
        notes.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files: "
            "uninstall both, then install one"
        )
    works = {trial.name: trial.works for trial in trials}
    if has_driver and not works[CUDA]:
        notes.append("verification could use the GPU: pip install 'onnxruntime-gpu[cuda,cudnn]'")
    if has_driver and not works.get("cuda"):
        notes.append("training could use the GPU: install a CUDA build of torch")
    return tuple(notes)

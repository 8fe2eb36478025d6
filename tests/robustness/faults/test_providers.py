"""Providers and devices that are not there, or fail in the middle: exit code 5, never a silent
fallback.
"""

import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nhle_onnx.errors import DeviceUnavailableError, InputRefusedError, NhleOnnxError
from nhle_onnx.hints import word
from nhle_onnx.runtime.providers import has_cuda_driver
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.classifier import open_classifier
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # makes its products deterministic
LOST = "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 719: unspecified launch failure ; GPU=0"
FULL = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv "
    "node. Status Message: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size "
    "411041792"
)
WRONG = "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: image"


class Failing:
    """A native session that fails at its second batch, which is its own binding of values."""

    def __init__(self, reason: str) -> None:
        self.reason, self.calls = reason, 0

    def run(self, *_: object) -> list[np.ndarray]:
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError(self.reason)
        return [np.zeros((1, 10), np.float32)]

    run_with_iobinding = run

    def io_binding(self) -> "Failing":
        return self

    def bind_cpu_input(self, *_: object) -> None:
        pass

    bind_output = bind_cpu_input

    def copy_outputs_to_cpu(self) -> list[np.ndarray]:
        return [np.zeros((1, 10), np.float32)]


@pytest.fixture(scope="module")
def target() -> ImageInput:
    return open_classifier(LENET, ModelFlags()).image_input


@pytest.mark.parametrize(
    ("reason", "provider", "expected"),
    [
        (LOST, CUDA, DeviceUnavailableError),
        (FULL, CUDA, DeviceUnavailableError),
        ("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR", CUDA, DeviceUnavailableError),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", CUDA, DeviceUnavailableError),
        (WRONG, CUDA, InputRefusedError),
        (WRONG, CPU, InputRefusedError),
        ("std::bad_alloc", CPU, InputRefusedError),
        ("", CPU, InputRefusedError),
    ],
)
def test_a_provider_that_fails_in_the_middle_is_told(
    target: ImageInput, reason: str, provider: str, expected: type[NhleOnnxError]
) -> None:
    session = Session(Failing(reason), provider)
    images = np.zeros((4, 1, 28, 28), np.float32)
    with pytest.raises(expected, match=f"failed on {provider}") as caught:
        session.run("logits", images, target, 1)
    assert type(caught.value) is expected
    assert caught.value.remedy


def test_failing_in_the_middle_writes_nothing(
    nhle: Nhle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unlearn` measures in batches; the device is lost in the second."""
    monkeypatch.setattr(
        "nhle_onnx.runtime.session._open_source", lambda *_, **__: Session(Failing(LOST), CUDA)
    )
    monkeypatch.setattr("nhle_onnx.workflows.plan.steady", lambda found, _: (found, ()))
    monkeypatch.setattr("nhle_onnx.workflows.plan.answer_noise", lambda *_: None)
    result = nhle(
        "unlearn", LENET, "--forget", 3, "--method", "cwm", "--data", EVALUATION,
        "--batch-size", 1, "--out", tmp_path / "edited.onnx",
    )  # fmt: skip
    assert result.code == 5, result.err
    assert "unspecified launch failure" in result.err
    assert "--provider cpu" in result.err
    assert list(tmp_path.iterdir()) == []


class Recorder:
    """Stands for ONNX Runtime's session; CUDA starts, or fails for a reason."""

    asked: list[tuple[dict[str, dict[str, object]], bool]]
    reason: str | None = None

    def __init__(
        self,
        _source: object,
        _options: object,
        *,
        providers: list[tuple[str, dict[str, object]]],
        enable_fallback: bool,
    ) -> None:
        self.asked.append((dict(providers), enable_fallback))
        self._names = [name for name, _ in providers]
        if self.reason and CUDA in self._names:
            raise RuntimeError(self.reason)

    def get_providers(self) -> list[str]:
        return self._names


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    class Fresh(Recorder):
        asked = []  # noqa: RUF012 - this test's own

    monkeypatch.setattr(ort, "InferenceSession", Fresh)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr("nhle_onnx.runtime.session.has_cuda_driver", lambda: True)
    return Fresh


def test_tf32_is_off_and_no_fallback_is_silent(recorder: type[Recorder]) -> None:
    session = open_session(onnx.load(LENET), "cuda")
    assert session.provider == CUDA
    ((providers, falls_back),) = recorder.asked
    assert providers[CUDA]["use_tf32"] == 0
    assert not falls_back


def test_cuda_that_fails_at_the_start_is_refused(recorder: type[Recorder]) -> None:
    recorder.reason = LOST
    with pytest.raises(DeviceUnavailableError, match="launch failure"):
        open_session(onnx.load(LENET), "cuda")
    assert open_session(onnx.load(LENET), "auto").provider == CPU


def test_a_model_that_cuda_refuses_is_refused(recorder: type[Recorder]) -> None:
    recorder.reason = WRONG
    with pytest.raises(InputRefusedError, match="INVALID_ARGUMENT"):
        open_session(onnx.load(LENET), "auto")


def test_onnxruntime_takes_the_setting() -> None:
    """It ignores keywords that it does not know."""
    session = open_session(onnx.load(LENET), "cpu").native
    assert session._enable_fallback is False


@pytest.mark.skipif(has_cuda_driver(), reason="CUDA may work here")
@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("verify", LENET, "--data", EVALUATION), "--provider"),
        (("unlearn", LENET, "--dry-run"), "--provider"),
        (("audit", LENET, "--baseline", LENET, "--data", EVALUATION), "--provider"),
        (("audit", LENET, "--baseline", LENET, "--data", EVALUATION), "--device"),
    ],
    ids=["verify", "unlearn", "audit", "audit device"],
)
def test_cuda_that_is_not_there_is_refused(
    nhle: Nhle, arguments: tuple[object, ...], option: str
) -> None:
    result = nhle(*arguments, "--forget", 3, option, "cuda")
    assert result.code == 5, result.err
    assert result.out == ""
    assert "CUDA" in result.err
    assert result.err.splitlines()[-1].endswith(f"{option} cpu.")
    assert "Traceback" not in result.err


def test_training_is_deterministic_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from nhle_onnx.training import device  # noqa: PLC0415 - imports torch

    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32, torch.are_deterministic_algorithms_enabled()
    cuda.allow_tf32 = cudnn.allow_tf32 = True
    monkeypatch.setenv(CUBLAS, "")  # so that it is taken back
    monkeypatch.delenv(CUBLAS)
    set_before: list[str | None] = []  # it is read when cuBLAS starts
    monkeypatch.setattr(
        device, "_find_cuda_fault", lambda _: set_before.append(os.environ.get(CUBLAS))
    )
    try:
        assert str(device.open_device("cuda", 0)) == "cuda"
        assert not cuda.allow_tf32
        assert not cudnn.allow_tf32
        assert set_before == [":4096:8"]
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before[:2]
        torch.use_deterministic_algorithms(before[2])


def test_a_device_that_fails_in_training() -> None:
    torch = pytest.importorskip("torch")
    from nhle_onnx.training.device import explain_device_faults  # noqa: PLC0415 - imports torch

    def fail() -> NoReturn:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")

    with pytest.raises(DeviceUnavailableError, match=r"Tried to allocate 2.00 GiB$") as caught:
        explain_device_faults()(fail)()
    assert "--device cpu" in word(caught.value.remedy, "flags")

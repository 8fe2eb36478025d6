"""NHLE on a lowered model: from samples to new values of the tensors in scope."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.averaging import WeightAverage
from nhle_onnx.training.guard import FAR, StepGuard
from nhle_onnx.training.loop import Trajectory, make_relative_adam, train
from nhle_onnx.unlearning.losses import find_loss
from nhle_onnx.unlearning.objective import ForgetObjective, to_inputs
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.request import ForgetRequest

RELATIVE_RATE = 5e-3
STEP_LIMIT = 300
FAR_OFF = "settled, but the retained classes changed: more anchors would help"
_WINDOW = 20  # steps; the stop rule compares the last window with the one before
_SETTLED = 0.95
_PATIENCE = 80  # steps, after which rounded weights need not bring every sample below 0
_TOLERATED = 1.5  # logit spreads that a sample may then lead by
_PROBED = 256  # samples
_MIRROR_AGREEMENT = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningData:
    """Model inputs in the model's layout: `forget` [N, ...] of `classes` [N], `anchors` [M, ...].

    Without anchors, `synthesizes` makes them of the forget samples.
    """

    forget: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    anchors: npt.NDArray[np.float32]
    synthesizes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuned:
    """New tensors by ONNX name, how training went, and what was found for it."""

    tensors: dict[str, npt.NDArray[np.float32]]
    trajectory: Trajectory
    stop_reason: str
    optimizer: str
    mirrors: bool
    steps_taken_back: int


class FromRows(nn.Module):
    """A module for samples of any shape, wrapped to take them as images of one pixel.

    What is done to images, such as shifts, then changes nothing.
    """

    def __init__(self, module: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.module = module
        self.shape = tuple(shape)

    def forward(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return outputs for rows [N, D, 1, 1]."""
        outputs: tuple[Tensor, ...] = self.module(rows.reshape(len(rows), *self.shape))
        return outputs


def finetune(
    lowered: LoweredModel,
    names: Sequence[str],
    samples: TuningData,
    request: ForgetRequest,
    options: UnlearnOptions,
    target: ImageInput,
    *,
    device: torch.device,
    on_step: Callable[[TrainingStep], None],
) -> Finetuned:
    """Train the named tensors in place in `lowered`, and return their new values."""
    parameters = {name: lowered.parameter_of[name] for name in names}
    taken = lowered.module if target.layout else FromRows(lowered.module, target.sample_shape)
    module, original = _prepare(taken.to(device), parameters.values())
    scale, mirrors = _probe(original, samples, target, device)
    objective = ForgetObjective(
        module=module,
        original=original,
        request=request,
        loss=options.loss,
        forget=_to_images(samples.forget, target),
        forget_classes=torch.from_numpy(samples.classes),
        anchors=_to_images(samples.anchors, target),
        synthesizes=samples.synthesizes,
        mirrors=mirrors,
        scale=scale,
        batch_size=options.batch_size,
        layout=target.layout or "NCHW",
        device=device,
        generator=torch.Generator().manual_seed(options.seed),
    )
    whole = [parameters[name] for name in names if name in lowered.whole]
    optimizer, optimizer_name = _make_optimizer(list(parameters.values()), whole, options)
    rounded = list(parameters.values()) if whole else []
    guard = StepGuard(optimizer) if options.lr is None else None
    trajectory = _run(optimizer, objective, rounded, options, on_step, guard)
    return Finetuned(
        tensors={
            name: parameter.detach().cpu().contiguous().numpy()
            for name, parameter in parameters.items()
        },
        trajectory=trajectory,
        stop_reason=_name_stop(trajectory, options),
        optimizer=optimizer_name,
        mirrors=mirrors,
        steps_taken_back=guard.taken_back if guard else 0,
    )


def _prepare(module: nn.Module, trained: Iterable[nn.Parameter]) -> tuple[nn.Module, nn.Module]:
    """The module with only `trained` to learn, and a frozen copy of it as it is."""
    # as the inputs are laid out, see `to_inputs`; torch's stubs lack this overload
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.requires_grad_(requires_grad=False)
    original = copy.deepcopy(module)
    for parameter in trained:
        parameter.requires_grad_()
    return module, original


def is_settled(points: Sequence[TrainingStep], *, tolerated: float = 0.0) -> bool:
    """The stop rule: for a whole window every forget sample was forgotten, and what is to be
    kept or blurred is no longer getting better. It reads no label of a retained sample.

    Rounding leaves noise that some samples stay ahead by: from step 80 on they may lead by
    `tolerated`, else they would be learned by heart, and others of their class be known again.
    """
    if len(points) < 3 * _WINDOW:
        return False  # the first window is no measure: it starts where nothing has changed yet
    last, before = points[-_WINDOW:], points[-2 * _WINDOW : -_WINDOW]
    if any(
        point.forget_margin > (tolerated if len(points) >= _PATIENCE else 0.0) for point in last
    ):
        return False
    rest_last, rest_before = (
        sum(point.retain_loss + point.alignment_loss for point in window)
        for window in (last, before)
    )
    return rest_last >= _SETTLED * rest_before


def _name_stop(trajectory: Trajectory, options: UnlearnOptions) -> str:
    if trajectory.is_settled and _is_far(trajectory):
        return FAR_OFF
    if trajectory.is_settled:
        is_forgotten = all(point.forget_margin <= 0 for point in trajectory.points[-_WINDOW:])
        return "forgotten and settled" if is_forgotten else "nearly forgotten and settled"
    return "steps given" if options.steps is not None else "step limit"


def _is_far(trajectory: Trajectory) -> bool:
    """Whether what was to be kept changed a lot, and stayed so."""
    last = trajectory.points[-_WINDOW:]
    return sum(point.retain_loss for point in last) > FAR / 2 * len(last)


def _run(
    optimizer: torch.optim.Optimizer,
    objective: ForgetObjective,
    rounded: Sequence[nn.Parameter],
    options: UnlearnOptions,
    on_step: Callable[[TrainingStep], None],
    guard: StepGuard | None,
) -> Trajectory:
    """Train until the stop rule or the options say so, and leave what is rounded at its average."""
    average = WeightAverage(rounded)
    by_rule = partial(is_settled, tolerated=_TOLERATED if rounded else 0.0)

    def follow(point: TrainingStep) -> None:
        average.follow(point.step)
        on_step(point)

    trajectory = train(
        optimizer,
        objective,
        max_steps=STEP_LIMIT if options.steps is None else options.steps,
        should_stop=by_rule if options.steps is None else _never,
        on_step=follow,
        guard=guard,
    )
    average.write()
    return trajectory


def _never(_points: Sequence[TrainingStep]) -> bool:
    return False


def _make_optimizer(
    parameters: Sequence[nn.Parameter], whole: Sequence[nn.Parameter], options: UnlearnOptions
) -> tuple[torch.optim.Optimizer, str]:
    """Relative Adam, unless a rate was given: then the loss's own optimizer."""
    if options.lr is None:
        name = f"Adam, {RELATIVE_RATE:.3g} of each tensor's magnitude a step"
        return make_relative_adam(parameters, RELATIVE_RATE, whole), name
    kind = find_loss(options.loss).optimizer
    return kind(parameters, lr=options.lr), f"{kind.__name__}, rate {options.lr:.3g}"


@torch.no_grad()
def _probe(
    original: nn.Module, samples: TuningData, target: ImageInput, device: torch.device
) -> tuple[float, bool]:
    """The spread of the original's logits about their mean on each sample, and whether it gives
    mirrored samples their own class: letters and road signs change theirs.
    """
    images = _to_images(np.concatenate([samples.forget, samples.anchors])[:_PROBED], target)
    logits, mirrored = (
        original(to_inputs(views, target.layout or "NCHW", device))[0].flatten(1)
        for views in (images, images.flip(3))
    )
    spread = float((logits - logits.mean(1, keepdim=True)).std())
    agreement = float((logits.argmax(1) == mirrored.argmax(1)).float().mean())
    return max(spread, 1e-6), agreement >= _MIRROR_AGREEMENT


def _to_images(inputs: npt.NDArray[np.float32], target: ImageInput) -> Tensor:
    """Model inputs as [N, C, H, W]; features that are not images, as [N, D, 1, 1]."""
    images = torch.from_numpy(np.ascontiguousarray(inputs))
    if target.layout is None:
        return images.flatten(1)[:, :, None, None]
    return images if target.layout == "NCHW" else images.permute(0, 3, 1, 2)

"""NHLE on a lowered model: from samples to new values of the tensors in scope."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nhle_onnx.data.variety import spread
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.augmentation import synthesize_anchors
from nhle_onnx.training.effort import ENDURANCE
from nhle_onnx.unlearning.objective import ForgetObjective
from nhle_onnx.unlearning.probing import Probe, probe
from nhle_onnx.unlearning.pursuit import Finetuned, Goal, limit_batch, pursue
from nhle_onnx.unlearning.resistance import Resistance
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.request import ForgetRequest

_PROBED = 256  # samples
_FEW = 0.7  # of the classes that could be shown
_LEAST = 1.5  # classes that must be missing
_ENOUGH = 80  # anchors: as many as are made of sixteen samples where none are given


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningData:
    """Model inputs in the model's layout: `forget` [N, ...] of `classes` [N], `anchors` [M, ...].

    Without anchors, `synthesizes` makes them of the forget samples. With `rows`, those of the head,
    the network learns to resist an attacker who learns from these samples.
    """

    forget: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    anchors: npt.NDArray[np.float32]
    synthesizes: bool
    rows: HeadRows | None = None


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
    """Train the named tensors of a classifier in place in `lowered`, and return their values."""
    taken = lowered.module if target.layout else FromRows(lowered.module, target.sample_shape)

    def make_goal(module: nn.Module, original: nn.Module) -> Goal:
        probed, objective = _make_objective(
            module, original, samples, request, options, target, device=device
        )
        measures = bool(len(samples.anchors)) or samples.synthesizes
        if samples.rows is not None and measures:
            resistance = Resistance(
                module,
                samples.rows,
                request,
                most_steps=ENDURANCE[options.effort].attack_steps,
                quantized=[lowered.parameter_of[name] for name in lowered.quantized],
            )
            objective = replace(objective, resistance=resistance)
        made = len(objective.anchors) - len(samples.anchors)
        return Goal(objective, probed, measures, made, objective.resistance is not None)

    lowered = replace(lowered, module=taken.to(device))
    return pursue(lowered, names, make_goal, options, on_step=on_step)


def _make_objective(
    module: nn.Module,
    original: nn.Module,
    samples: TuningData,
    request: ForgetRequest,
    options: UnlearnOptions,
    target: ImageInput,
    *,
    device: torch.device,
) -> tuple[Probe, ForgetObjective]:
    """Return what the original says of the samples, and what training minimises on them."""
    generator = torch.Generator().manual_seed(options.seed)
    layout = target.layout or "NCHW"
    forget, anchors = (_to_images(each, target) for each in (samples.forget, samples.anchors))
    places = spread(range(len(forget) + len(anchors)), _PROBED)
    probed = probe(original, torch.cat([forget, anchors])[places], layout, device, generator)
    if len(anchors) and target.layout:  # anchors can be made only of pictures
        answers = probed.answers[bisect_left(places, len(forget)) :]
        missing = count_missing(answers, len(anchors), request)
        anchors = add_made(anchors, forget, missing, generator) if missing else anchors
    return probed, ForgetObjective(
        module=module,
        original=original,
        request=request,
        loss=options.loss,
        forget=forget,
        forget_classes=torch.from_numpy(samples.classes),
        anchors=anchors,
        synthesizes=samples.synthesizes,
        mirrors=probed.mirrors,
        max_shift=probed.max_shift,
        scale=probed.scale,
        batch_size=limit_batch(options),
        layout=layout,
        device=device,
        generator=generator,
    )


def count_missing(answers: Sequence[int], anchors: int, request: ForgetRequest) -> int:
    """Return how many anchors to make beside the given ones, by what the original network takes
    these for.

    None are made where the given ones show most retained classes, or all but one of few: pictures
    made of forget samples would have to be taken for those few classes, too, which works against
    forgetting. Where they show fewer classes than so many images could, half as many are made. Few
    anchors are completed to `_ENOUGH`.
    """
    retained = len(request.retained)
    shown = _count_shown(answers, request)
    if shown > min(_FEW * retained, retained - _LEAST):
        return 0
    even = retained * (1 - (1 - 1 / retained) ** len(answers))
    return max(_ENOUGH - anchors, anchors // 2 if shown < _FEW * even else 0)


def _count_shown(answers: Sequence[int], request: ForgetRequest) -> float:
    """Count the retained classes among answers, each by its share (the exponential of the entropy).

    Pictures of another kind are mostly taken for one or two classes, and a few of them for any.
    """
    retained = set(request.retained)
    counts = Counter(answer for answer in answers if answer in retained)
    shares = [count / counts.total() for count in counts.values()]
    return math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0


def add_made(anchors: Tensor, forget: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Add `count` made anchors, on which the classes that the given ones do not show are kept, too.

    They are made of the forget samples: anchors may be of another kind than what the network meets.
    """
    made = synthesize_anchors(forget, generator)
    while len(made) < count:
        made = torch.cat([made, synthesize_anchors(forget, generator)])
    chosen = torch.randperm(len(made), generator=generator)[:count]
    return torch.cat([anchors, made[chosen]])


def _to_images(inputs: npt.NDArray[np.float32], target: ImageInput) -> Tensor:
    """Model inputs as [N, C, H, W]; features that are not images, as [N, D, 1, 1]."""
    images = torch.from_numpy(np.ascontiguousarray(inputs))
    if target.layout is None:
        return images.flatten(1)[:, :, None, None]
    return images if target.layout == "NCHW" else images.permute(0, 3, 1, 2)

"""How a stranger trains: one loop, with the options that people use."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.training.augmentation import flip_and_shift
from studies.strangers.blocks import Network, Shape
from studies.strangers.families import build

_TEMPERATURE = 4.0  # of a teacher's answers
_RISE = 0.1  # share of a one-cycle schedule in which the rate rises
_LEAST = 1e-3
_ZERO = 0.002  # a running loss that people call zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained: in at most `steps`; `to_zero` ends sooner, at zero loss.

    `noise` is the share of labels that are drawn at random. A `teacher` is trained first, by the
    same recipe. `pretrained_on` names the data of a first training, after which the network gets
    a new last layer.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-3
    schedule: Literal["constant", "one-cycle"] = "constant"
    steps: int = 600
    batch: int = 64
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    mixup: bool = False
    shift: int = 0
    mirrors: bool = False
    noise: float = 0.0
    to_zero: bool = False
    teacher: Network | None = None
    pretrained_on: str | None = None
    seed: int = 0


class Samples(NamedTuple):
    """Inputs [N, C, H, W] and labels [N]."""

    inputs: Tensor
    labels: Tensor


def train_network(
    network: Network, recipe: Recipe, shape: Shape, train: Samples, first: Samples | None = None
) -> nn.Module:
    """Train a network by its recipe, first on `first` if given; return it in inference mode."""
    torch.manual_seed(recipe.seed)
    teacher = None
    if recipe.teacher:
        teacher = train_network(recipe.teacher, replace(recipe, teacher=None), shape, train)
    if first is None:
        model = build(network, shape)
    else:
        classes = int(first.labels.max()) + 1
        model = build(network, shape._replace(classes=classes))
        fit(model, first, recipe)
        old = model.get_submodule("classifier")
        model.classifier = nn.Linear(old.in_features, shape.classes)  # type: ignore[arg-type]
    fit(model, train, recipe, teacher)
    return model.eval()


def fit(model: nn.Module, train: Samples, recipe: Recipe, teacher: nn.Module | None = None) -> None:
    """Train in place."""
    generator = torch.Generator().manual_seed(recipe.seed)
    labels = spoil_labels(train.labels, recipe.noise, generator)
    optimizer = make_optimizer(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(scale_rate, recipe))
    model.train()
    running = 1.0
    for _ in range(recipe.steps):
        chosen = torch.randint(len(labels), (recipe.batch,), generator=generator)
        batch = augment(Samples(train.inputs[chosen], labels[chosen]), recipe, generator)
        loss = measure_loss(model, batch, recipe, teacher)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        running = 0.98 * running + 0.02 * loss.item()
        if recipe.to_zero and running < _ZERO:
            break


def spoil_labels(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Replace a share of the labels with random ones."""
    random = torch.randint(int(labels.max()) + 1, labels.shape, generator=generator)
    return torch.where(torch.rand(labels.shape, generator=generator) < share, random, labels)


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the optimizer that the recipe names."""
    parameters, decay = model.parameters(), recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, recipe.lr, momentum=0.9, weight_decay=decay, nesterov=True
        )
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, recipe.lr, weight_decay=decay)


def scale_rate(recipe: Recipe, step: int) -> float:
    """Return the share of `lr` at a step: 1, or up for a tenth of the steps and then down to 0."""
    if recipe.schedule == "constant":
        return 1.0
    done = step / recipe.steps
    return min(done / _RISE, (1 - done) / (1 - _RISE)) + _LEAST


class Batch(NamedTuple):
    """Inputs, their labels, those that are mixed in, and the share of the former."""

    inputs: Tensor
    labels: Tensor
    others: Tensor
    left: float


def augment(samples: Samples, recipe: Recipe, generator: torch.Generator) -> Batch:
    """Shift, mirror, and with mixup blend the samples."""
    inputs, labels = samples
    if recipe.shift or recipe.mirrors:
        inputs = flip_and_shift(inputs, recipe.shift, generator, mirrors=recipe.mirrors)
    left = float(torch.rand((), generator=generator)) if recipe.mixup else 1.0
    mixed = left * inputs + (1 - left) * inputs.roll(1, 0) if recipe.mixup else inputs
    return Batch(mixed, labels, labels.roll(1, 0), left)


def measure_loss(
    model: nn.Module, batch: Batch, recipe: Recipe, teacher: nn.Module | None
) -> Tensor:
    """Measure the cross-entropy, or the distance to a teacher's softened answers."""
    logits = model(batch.inputs)
    if teacher:
        with torch.no_grad():
            wanted = (teacher(batch.inputs) / _TEMPERATURE).softmax(1)
        answers = (logits / _TEMPERATURE).log_softmax(1)
        return functional.kl_div(answers, wanted, reduction="batchmean") * _TEMPERATURE**2
    smooth = recipe.label_smoothing
    own, other = (
        functional.cross_entropy(logits, labels, label_smoothing=smooth)
        for labels in (batch.labels, batch.others)
    )
    return batch.left * own + (1 - batch.left) * other

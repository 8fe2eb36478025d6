"""GKT, gated knowledge transfer: Chundawat et al., "Zero-shot machine unlearning"."""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from studies.baselines.shared import (
    BATCH_SIZE,
    STEP_LIMIT,
    descend,
    diverge,
    make_generator,
    reset_network,
)
from studies.tasks import Task

CODE = 100
STUDENT_STEPS = 10  # for each step of the generator
GENERATOR_RATE = 1e-3


class Generator(nn.Module):
    """A network from codes [N, 100] to images [N, *shape], scaled like normalised inputs."""

    def __init__(self, shape: torch.Size, width: int = 16) -> None:
        super().__init__()
        channels, *self.extent = shape
        self.start = (width, -(-shape[1] // 4), -(-shape[2] // 4))
        self.enter = nn.Linear(CODE, width * self.start[1] * self.start[2])
        self.layers = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Upsample(size=tuple(self.extent)),
            nn.Conv2d(width, channels, 3, padding=1),
            nn.BatchNorm2d(channels, affine=False),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Return images [N, *shape]."""
        return cast("Tensor", self.layers(self.enter(codes).unflatten(1, self.start)))


def gated_transfer(task: Task, *, rate: float, threshold: float) -> nn.Module:
    """Train a student with random weights on the original's outputs for generated images.

    A band-pass filter drops images with p(forgotten) above `threshold`; the generator seeks images
    on which the two networks differ (arXiv 2201.05629). No data is used at all.

    Simplified: the attention loss is left out, and the student has the step limit of all methods,
    where the paper takes tens of thousands of batches. It cannot work well here.
    """
    student = reset_network(task.network, task.seed).train()  # it has no statistics to keep yet
    source = make_generator(task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        generator = Generator(task.forget.shape[1:])

    def measure_likeness(codes: Tensor) -> Tensor:
        images = generator(codes)
        return -diverge(task.network(images), student(images))

    def measure_difference(images: Tensor, targets: Tensor) -> Tensor:
        return diverge(targets, student(images))

    seek = torch.optim.Adam(generator.parameters(), lr=GENERATOR_RATE)
    learn = torch.optim.Adam(student.parameters(), lr=rate)
    for _ in range(STEP_LIMIT // (STUDENT_STEPS + 1)):
        codes = torch.randn(BATCH_SIZE, CODE, generator=source)
        descend(seek, partial(measure_likeness, codes), 1)
        with torch.no_grad():
            images = generator(codes)
            targets = task.network(images)
        passes = targets.softmax(1)[:, list(task.forgotten)].amax(1) <= threshold
        if passes.sum() > 1:  # BatchNorm in training needs two
            batch = images[passes], targets[passes]
            descend(learn, partial(measure_difference, *batch), STUDENT_STEPS)
    return student.eval()

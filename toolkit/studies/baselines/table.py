"""Every method, the data that it needs, and its candidate settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial, wraps
from itertools import product
from typing import Any

from torch import nn

from studies.baselines import (
    bias_shift,
    boundary,
    dampening,
    distillation,
    gated_transfer,
    lipschitz,
    negative_hot,
    noise,
    projection,
    relabelling,
    weight_filtering,
)
from studies.baselines.shared import label_anchors
from studies.tasks import Task

CANDIDATES = 6  # settings of one method at most
Setting = Mapping[str, float | str]


class Group(StrEnum):
    """The data that a method needs; each group includes the one before."""

    FORGET = "forget samples only"
    ANCHORS = "plus unlabelled anchors"
    RETAINED = "plus labelled retained data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method: `unlearn(task, **setting)` returns a new network and does not change the task's."""

    name: str
    group: Group
    unlearn: Callable[..., nn.Module]
    settings: tuple[Setting, ...]


def restrict(task: Task, group: Group) -> Task:
    """Return the task with only the data of the group."""
    none, no_labels = task.retained[:0], task.retained_labels[:0]
    if group == Group.FORGET:
        return replace(task, anchors=none, retained=none, retained_labels=no_labels)
    if group == Group.ANCHORS:
        return replace(task, retained=none, retained_labels=no_labels)
    return task


def _grid(**values: tuple[float | str, ...]) -> tuple[Setting, ...]:
    return tuple(dict(zip(values, choice, strict=True)) for choice in product(*values.values()))


def _label_first(unlearn: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Return the method with the original's predictions on the anchors as labels."""

    @wraps(unlearn)
    def unlearn_labelled(task: Task, **setting: Any) -> nn.Module:  # noqa: ANN401 - see Setting
        return unlearn(label_anchors(task), **setting)

    return unlearn_labelled


_FORGET = partial(Method, group=Group.FORGET)
_ANCHORS = partial(Method, group=Group.ANCHORS)
_RETAINED = partial(Method, group=Group.RETAINED)
_PLAIN = _grid(rate=(1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1), steps=(20,))
_MOMENTUM = _grid(rate=(1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2), steps=(20,))
_LONG = _grid(rate=(1e-4, 1e-3, 1e-2), steps=(50, 300))

_LABELLED = (
    _RETAINED(name="fine-tune", unlearn=relabelling.fine_tune, settings=_LONG),
    _RETAINED(
        name="NegGrad+",
        unlearn=relabelling.negative_gradient_plus,
        settings=_grid(rate=(1e-3, 1e-2), weight=(0.9, 0.99, 0.999), steps=(300,)),
    ),
    _RETAINED(
        name="SCRUB",
        unlearn=distillation.scrub,
        settings=_grid(rate=(3e-3, 1e-2, 3e-2), steps=(50, 150)),
    ),
    _RETAINED(
        name="SSD",
        unlearn=dampening.dampening,
        settings=_grid(alpha=(1.0, 3.0, 8.0), lam=(0.1, 1.0)),
    ),
    _RETAINED(
        name="UNSIR",
        unlearn=noise.error_maximising_noise,
        settings=_grid(rate=(1e-3, 5e-3, 2e-2), steps=(10, 130)),
    ),
    _RETAINED(
        name="WF-Net",
        unlearn=weight_filtering.weight_filtering,
        settings=_grid(rate=(1e-2, 1e-1, 1.0), steps=(50, 300)),
    ),
)

METHODS = (
    _FORGET(name="CWM only", unlearn=negative_hot.cwm, settings=_grid(mask=("floor", "zero"))),
    _FORGET(
        name="BiasShift",
        unlearn=bias_shift.bias_shift,
        settings=_grid(shift=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    ),
    _FORGET(name="NHLE only", unlearn=negative_hot.nhle, settings=_PLAIN),
    _FORGET(
        name="NHLE+CWM as published",
        unlearn=negative_hot.nhle_cwm,
        settings=tuple({**setting, "mask": "floor"} for setting in _PLAIN),
    ),
    _FORGET(name="y(B)", unlearn=negative_hot.simple_label, settings=_PLAIN),
    _FORGET(
        name="NegGrad",
        unlearn=relabelling.negative_gradient,
        settings=_grid(rate=(1e-5, 5e-5, 1e-4, 2e-4, 4e-4, 1e-3), steps=(20,)),
    ),
    _FORGET(name="random label", unlearn=relabelling.random_label, settings=_MOMENTUM),
    _FORGET(name="DELETE", unlearn=distillation.delete, settings=_MOMENTUM),
    _FORGET(name="Boundary Shrink", unlearn=boundary.boundary_shrink, settings=_MOMENTUM),
    _FORGET(name="Boundary Expand", unlearn=boundary.boundary_expand, settings=_MOMENTUM),
    _FORGET(
        name="JiT",
        unlearn=lipschitz.lipschitz,
        settings=_grid(rate=(1e-3, 3e-3, 1e-2), sigma=(0.1, 0.5), steps=(50,)),
    ),
    _FORGET(
        name="GKT",
        unlearn=gated_transfer.gated_transfer,
        settings=_grid(rate=(1e-4, 1e-3, 1e-2), threshold=(0.01, 0.1)),
    ),
    _ANCHORS(
        name="DAMP",
        unlearn=projection.projection,
        settings=_grid(strength=(0.3, 0.6, 1.0), residual=("span", "mean")),
    ),
    _ANCHORS(
        name="Bad Teacher",
        unlearn=distillation.bad_teacher,
        settings=_grid(rate=(1e-4, 3e-4, 1e-3), steps=(50, 300)),
    ),
    *(
        replace(method, group=Group.ANCHORS, unlearn=_label_first(method.unlearn))
        for method in _LABELLED
    ),
    *_LABELLED,
)

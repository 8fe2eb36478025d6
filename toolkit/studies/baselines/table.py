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
    free_energy,
    gated_transfer,
    lipschitz,
    negative_hot,
    noise,
    projection,
    relabelling,
    reweighting,
    scattering,
    subspace,
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


def _row(
    group: Group, name: str, unlearn: Callable[..., nn.Module], **values: tuple[float | str, ...]
) -> Method:
    """Make a method that is tried with every combination of these values."""
    grid = tuple(dict(zip(values, choice, strict=True)) for choice in product(*values.values()))
    return Method(name=name, group=group, unlearn=unlearn, settings=grid)


def _label_first(unlearn: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Return the method with the original's predictions on the anchors as labels."""

    @wraps(unlearn)
    def unlearn_labelled(task: Task, **setting: Any) -> nn.Module:  # noqa: ANN401 - see Setting
        return unlearn(label_anchors(task), **setting)

    return unlearn_labelled


_forget, _anchors, _retained = (partial(_row, group) for group in Group)
_PLAIN = {"rate": (1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1), "steps": (20,)}
_MOMENTUM = {"rate": (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "steps": (20,)}
_SMALL = {"rate": (1e-5, 5e-5, 1e-4, 2e-4, 4e-4, 1e-3), "steps": (20,)}
_LONG = {"rate": (1e-4, 1e-3, 1e-2), "steps": (50, 300)}
_PUSHED = {"rate": (1e-3, 1e-2), "weight": (0.9, 0.99, 0.999), "steps": (300,)}
_TILTED = {"rate": (1e-3, 3e-3, 1e-2), "tilt": (1.0, 10.0)}
_SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_SHIFTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)

_LABELLED = (
    _retained("fine-tune", relabelling.fine_tune, **_LONG),
    _retained("NegGrad+", relabelling.negative_gradient_plus, **_PUSHED),
    _retained("SCRUB", distillation.scrub, rate=(3e-3, 1e-2, 3e-2), steps=(50, 150)),
    _retained("SSD", dampening.dampening, alpha=(1.0, 3.0, 8.0), lam=(0.1, 1.0)),
    _retained("UNSIR", noise.error_maximising_noise, rate=(1e-3, 5e-3, 2e-2), steps=(10, 130)),
    _retained("TREW", reweighting.tilted_reweighting, **_TILTED, steps=(300,)),
    _retained("WF-Net", weight_filtering.weight_filtering, rate=(1e-2, 1e-1, 1.0), steps=(50, 300)),
)

METHODS = (
    _forget("CWM only", negative_hot.cwm, mask=("floor", "zero")),
    _forget("BiasShift", bias_shift.bias_shift, shift=_SHIFTS),
    _forget("NHLE only", negative_hot.nhle, **_PLAIN),
    _forget("NHLE+CWM as published", negative_hot.nhle_cwm, **_PLAIN, mask=("floor",)),
    _forget("y(B)", negative_hot.simple_label, **_PLAIN),
    _forget("NegGrad", relabelling.negative_gradient, **_SMALL),
    _forget("random label", relabelling.random_label, **_MOMENTUM),
    _forget("DELETE", distillation.delete, **_MOMENTUM),
    _forget("Boundary Shrink", boundary.boundary_shrink, **_MOMENTUM),
    _forget("Boundary Expand", boundary.boundary_expand, **_MOMENTUM),
    _forget("JiT", lipschitz.lipschitz, rate=(1e-3, 3e-3, 1e-2), sigma=(0.1, 0.5), steps=(50,)),
    _forget("GKT", gated_transfer.gated_transfer, rate=(1e-4, 1e-3, 1e-2), threshold=(0.01, 0.1)),
    _forget(
        "Spotter", scattering.scatter, rate=(1e-3, 1e-2, 3e-2), steps=(50,), dispersion=(0.1, 1.0)
    ),
    _forget(
        "CLUE", free_energy.raise_energy, rate=(1e-4, 1e-3, 1e-2), steps=(50,), weight=(1.0, 10.0)
    ),
    _forget("TREW", reweighting.tilted_reweighting, **_TILTED, steps=(20,)),
    _forget("ESC", subspace.erase_subspace, share=_SHARES),
    _anchors("DAMP", projection.projection, strength=(0.3, 0.6, 1.0), residual=("span", "mean")),
    _anchors("Bad Teacher", distillation.bad_teacher, rate=(1e-4, 3e-4, 1e-3), steps=(50, 300)),
    *(
        replace(method, group=Group.ANCHORS, unlearn=_label_first(method.unlearn))
        for method in _LABELLED
    ),
    *_LABELLED,
)

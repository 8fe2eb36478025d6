"""The input of every attack: the models, their answers, and who holds which sample."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.graph.head.feature_tensors import average_features
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.places import Provider
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.request import ForgetRequest

Array = npt.NDArray[np.float32]


class CannotRunError(Exception):
    """An attack lacks something that it needs. The message, which the report lists, says what.

    `leaves_gap`: the reason lies in the edited model, so what the attack would have shown stays
    unknown.
    """

    def __init__(self, reason: str, *, leaves_gap: bool = False) -> None:
        super().__init__(reason)
        self.leaves_gap = leaves_gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A model's answers to samples: the head's features [N, D] and the scores [N, K]. The features
    of several heads lie side by side.
    """

    features: Array
    scores: Array


@dataclass(frozen=True, kw_only=True)
class Target:
    """A classifier, with its answers to the audit's samples and, if given, to the members."""

    model: OnnxModel
    layout: ClassifierHead
    image_input: ImageInput
    answers: Answers
    member_answers: Answers | None

    @cached_property
    def head(self) -> Head:
        """Its head, bound to its graph."""
        return Head(self.model.proto, self.layout)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditContext:
    """Samples [N, ...] of `classes` [N].

    `is_attack` marks the half that the attacker holds; the other half is for measuring. `members`
    are samples of forgotten classes that the original was trained on. `named_by_patch` are the
    classes that a patch's manifest names, None where no patch was given.
    """

    request: ForgetRequest
    inputs: Array
    classes: npt.NDArray[np.int64]
    is_attack: npt.NDArray[np.bool_]
    member_classes: npt.NDArray[np.int64]
    targets: Mapping[Role, Target]
    provider: Provider
    kernels: Kernels
    batch_size: int
    seed: int
    named_by_patch: tuple[int, ...] | None = None

    @property
    def forgotten(self) -> tuple[int, ...]:
        """The indices of the forgotten classes."""
        return self.request.forget

    @property
    def is_forgotten(self) -> npt.NDArray[np.bool_]:
        """A mask of samples of forgotten classes, [N]."""
        found: npt.NDArray[np.bool_] = np.isin(self.classes, self.forgotten)
        return found

    @property
    def is_judge(self) -> npt.NDArray[np.bool_]:
        """A mask of samples of forgotten classes for measuring, [N]."""
        return self.is_forgotten & ~self.is_attack

    def redraw(self, seed: int) -> Self:
        """Share the samples out anew between attacker and judge."""
        return replace(self, is_attack=split_halves(self.classes, seed), seed=seed)

    def recognise(
        self, proto: ModelProto, target: Target, chosen: npt.NDArray[np.bool_] | None = None
    ) -> float:
        """Return the accuracy of a changed form of a target's graph on the chosen samples. By
        default these are the samples of forgotten classes for measuring.
        """
        chosen = self.is_judge if chosen is None else chosen
        scores = read_answers(
            proto, target.layout, target.image_input, self.inputs[chosen],
            provider=self.provider, kernels=self.kernels, batch_size=self.batch_size,
        ).scores  # fmt: skip
        return float((scores.argmax(1) == self.classes[chosen]).mean())


def read_answers(
    proto: ModelProto,
    head: ClassifierHead,
    image_input: ImageInput,
    inputs: Array,
    *,
    provider: Provider,
    batch_size: int,
    kernels: Kernels = "exact",
) -> Answers:
    """Return a model's answers to images [N, ...], computed in one pass, as real numbers.

    Raises CannotRunError where features, or the highest scores, are NaN or infinite.
    """
    proto, head = with_real_values(proto, head)
    names = (head.scores, *(part.features for part in head.all_parts))
    session = open_session(expose_tensors(proto, *dict.fromkeys(names)), provider, kernels)
    scores, *found = session.run_several(names, inputs, image_input, batch_size)
    features = np.hstack(
        [average_features(each, part) for each, part in zip(found, head.all_parts, strict=True)]
    )
    scores = scores.reshape(len(scores), head.num_classes)
    if not (np.isfinite(features).all() and np.isfinite(scores.max(1)).all()):
        message = "the model computes numbers that are not finite, so its answers cannot be used"
        raise CannotRunError(message)
    return Answers(features=features, scores=scores)


def split_halves(classes: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.bool_]:
    """Mark half of each class, drawn by the seed, for the attacker."""
    rng = np.random.default_rng(seed)
    is_attack = np.zeros(len(classes), bool)
    for index in np.unique(classes):
        positions = rng.permutation(np.flatnonzero(classes == index))
        is_attack[positions[: (len(positions) + 1) // 2]] = True
    return is_attack

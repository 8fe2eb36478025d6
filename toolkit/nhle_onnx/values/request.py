"""The request: which classes to forget."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.errors import UsageError
from nhle_onnx.hints import hint

Method = Literal["nhle-cwm", "nhle", "cwm"]
Loss = Literal["saturating", "paper-gradient", "paper-cross-entropy"]
Scope = Literal["all", "features", "last-stage", "head"]
Effort = Literal["fast", "standard", "thorough"]
Mask = Literal["auto", "convex", "floor", "zero", "importance", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRequest:
    """The classes to forget, out of `num_classes`. Sorted, distinct, and never all of them."""

    forget: tuple[int, ...]
    num_classes: int

    def __post_init__(self) -> None:
        """Refuse an impossible request."""
        outside = [index for index in self.forget if not 0 <= index < self.num_classes]
        if outside:
            message = f"class {outside[0]} is out of range: there are {self.num_classes} classes"
            raise UsageError(message, remedy=f"Give an index from 0 to {self.num_classes - 1}.")
        if not self.forget:
            message = "no class to forget was given"
            raise UsageError(message, remedy=hint("Give {forget} with an index or a label."))
        if len(set(self.forget)) == self.num_classes:
            message = f"all {self.num_classes} classes were asked to be forgotten"
            raise UsageError(message, remedy="Leave at least one class.")
        object.__setattr__(self, "forget", tuple(sorted(set(self.forget))))

    @property
    def retained(self) -> tuple[int, ...]:
        """The classes that stay."""
        forgotten = set(self.forget)
        return tuple(index for index in range(self.num_classes) if index not in forgotten)

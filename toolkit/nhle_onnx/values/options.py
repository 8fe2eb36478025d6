"""How to unlearn: the resolved options of the two steps. None means: found from the samples."""

from dataclasses import dataclass
from typing import Annotated

from nhle_onnx.values.request import Loss, Mask, Method, Scope
from nhle_onnx.values.settings.option import Option
from nhle_onnx.values.settings.shared import BatchSize, Seed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnOptions:
    """Options of NHLE training and of CWM.

    `lr` None steps by a fraction of each tensor's own magnitude; `steps` None stops when the
    forget samples are forgotten and the anchors have settled. `rescale` lets a quantized output's
    scale and zero point, or the head's scales, change where the mask needs it.
    """

    method: Annotated[
        Method, Option("What is done: NHLE trains the class out of the features, CWM masks it.")
    ] = "nhle-cwm"
    loss: Annotated[Loss, Option("What training lowers; two are as in the paper.")] = "saturating"
    scope: Annotated[Scope, Option("Which weights NHLE may change.")] = "features"
    mask: Annotated[Mask, Option("What CWM does to the class's row in the head.")] = "auto"
    lr: Annotated[
        float | None,
        Option(
            "Learning rate; auto is a fraction of each tensor's own size.", above=0, none="auto"
        ),
    ] = None
    steps: Annotated[
        int | None,
        Option("Training steps; auto ends once the class is forgotten.", at_least=1, none="auto"),
    ] = None
    rescale: Annotated[
        bool,
        Option(
            "Widen the range of a quantized output or bias where a masked class could else win."
        ),
    ] = False
    samples_per_class: Annotated[
        int, Option("Samples of each class to tune by, at most.", at_least=1)
    ] = 16
    batch_size: BatchSize = 256
    seed: Seed = 0

    @property
    def trains(self) -> bool:
        """Whether the features are trained at all."""
        return self.method != "cwm"

    @property
    def needs_samples(self) -> bool:
        """Whether samples change the edited model: these do not judge it."""
        return self.trains or self.mask == "importance"

    @property
    def masks(self) -> bool:
        """Whether the head is masked."""
        return self.method != "nhle"

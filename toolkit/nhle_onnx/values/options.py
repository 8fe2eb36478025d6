"""How to unlearn: the options of NHLE and CWM. None means: derived from the samples."""

from dataclasses import dataclass
from typing import Annotated

from nhle_onnx.values.request import Effort, Loss, Mask, Method, Scope
from nhle_onnx.values.settings.option import Option
from nhle_onnx.values.settings.shared import BatchSize, Seed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnOptions:
    """Options of NHLE training and of CWM.

    Without `lr`, each step is a fraction of a tensor's own magnitude. Without `steps`, training
    stops when the forget samples are forgotten and the anchors have settled.
    """

    method: Annotated[
        Method,
        Option("What to do: NHLE trains the class out of the features, CWM masks it in the head."),
    ] = "nhle-cwm"
    loss: Annotated[Loss, Option("The loss that training minimises; two are the paper's.")] = (
        "saturating"
    )
    scope: Annotated[Scope, Option("Which weights NHLE may change.")] = "features"
    mask: Annotated[Mask, Option("How CWM masks the class's row in the head.")] = "auto"
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
    effort: Annotated[
        Effort,
        Option(
            "How long training goes on, and what it resists: fast tries once, on fewer images a "
            "step; thorough tries more often, ends only once the class loses by more, and makes it "
            "slow to relearn, in several times the time."
        ),
    ] = "standard"
    samples_per_class: Annotated[
        int, Option("Maximum number of samples of each class for tuning.", at_least=1)
    ] = 16
    batch_size: BatchSize = 256
    seed: Seed = 0

    @property
    def trains(self) -> bool:
        """Whether the features are trained."""
        return self.method != "cwm"

    @property
    def needs_samples(self) -> bool:
        """Whether samples change the edited model: these do not judge it."""
        return self.trains or self.mask == "importance"

    @property
    def masks(self) -> bool:
        """Whether the head is masked."""
        return self.method != "nhle"

"""How to unlearn: the resolved options of the two steps. None means: found from the samples."""

from dataclasses import dataclass

from nhle_onnx.values.request import Loss, Mask, Method, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnOptions:
    """Options of NHLE training and of CWM.

    `lr` None steps by a fraction of each tensor's own magnitude; `steps` None stops when the
    forget samples are forgotten and the anchors have settled. `rescale` lets a quantized output's
    scale and zero point, or the head's scales, change where the mask needs it.
    """

    method: Method = "nhle-cwm"
    loss: Loss = "saturating"
    scope: Scope = "features"
    mask: Mask = "floor"
    lr: float | None = None
    steps: int | None = None
    rescale: bool = False
    samples_per_class: int = 16
    batch_size: int = 256
    seed: int = 0

    @property
    def trains(self) -> bool:
        """Whether the features are trained at all."""
        return self.method != "cwm"

    @property
    def masks(self) -> bool:
        """Whether the head is masked."""
        return self.method != "nhle"

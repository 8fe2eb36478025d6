"""What the gates demand."""

from dataclasses import dataclass
from typing import Annotated

from nhle_onnx.values.settings.option import Option

_MaxAccF = Annotated[
    float,
    Option("Highest accuracy that passes on the forgotten classes.", at_least=0, at_most=1),
]
_MaxAccRDrop = Annotated[
    float,
    Option("Largest loss of accuracy that passes on the others.", at_least=-1, at_most=1),
]
_MaxUncertainty = Annotated[
    float,
    Option(
        "How far beyond its limit a figure may still lie with 95 % confidence and pass: smaller "
        "needs more images.",
        at_least=0,
        at_most=1,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the gates demand, as fractions. `unmasked_acc_f` is the original head put back.

    A gate passes where its figure keeps the limit, and its 95 % bound the limit and
    `max_uncertainty`: that is what a verdict claims.
    """

    max_acc_f: _MaxAccF = 0.01
    max_acc_r_drop: _MaxAccRDrop = 0.035
    max_unmasked_acc_f: float = 0.05
    max_uncertainty: _MaxUncertainty = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """What the gates demand on a device. `min_agreement` is the share of images that the device
    answers as the host does.
    """

    max_acc_f: _MaxAccF = 0.01
    max_acc_r_drop: _MaxAccRDrop = 0.035
    max_uncertainty: _MaxUncertainty = 0.05
    min_agreement: float = 0.99

"""The limits of the gates, as options."""

from dataclasses import dataclass
from typing import Annotated

from nhle_onnx.values.settings.option import Option

_MaxAccF = Annotated[
    float,
    Option("Highest accuracy on the forgotten classes that passes.", at_least=0, at_most=1),
]
_MaxAccRDrop = Annotated[
    float,
    Option("Largest loss of accuracy on the other classes that passes.", at_least=-1, at_most=1),
]
_MaxUncertainty = Annotated[
    float,
    Option(
        "How far beyond its limit a figure's 95 % bound may lie and still pass: a smaller number "
        "needs more images.",
        at_least=0,
        at_most=1,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of the gates, as fractions; for `unmasked_acc_f`, with the original head.

    A gate passes if its figure keeps the limit, and its 95 % bound exceeds the limit by at most
    `max_uncertainty`: this is what a verdict claims.
    """

    max_acc_f: _MaxAccF = 0.01
    max_acc_r_drop: _MaxAccRDrop = 0.035
    max_unmasked_acc_f: float = 0.05
    max_uncertainty: _MaxUncertainty = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """The limits of the gates on a device.

    `min_agreement` is the lowest share of images on which device and host must agree.
    """

    max_acc_f: _MaxAccF = 0.01
    max_acc_r_drop: _MaxAccRDrop = 0.035
    max_uncertainty: _MaxUncertainty = 0.05
    min_agreement: float = 0.99

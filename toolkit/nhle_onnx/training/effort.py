"""How long training goes on, and what it must show before it ends, by the effort asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

from nhle_onnx.hints import hint
from nhle_onnx.text import format_percent
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import Effort


@dataclass(frozen=True, slots=True, kw_only=True)
class Endurance:
    """How long training goes on.

    It takes at most `steps`. Over `patience` steps the forgetting loss must fall; in its last
    `settling` steps the rate falls, which may be in vain `rounds` times. `margin` multiplies the
    margin by which the class must lose, and `most_images` bounds how many images of each kind a
    step sees. `attack_steps` are those of the attacker whom the network learns to resist, at most.
    """

    steps: int = 600  # runs end before; this one guards against those that would not
    patience: int = 60
    settling: int = 22  # steps in which the rate falls to a tenth
    rounds: int = 3
    margin: float = 1.0
    most_images: int | None = None
    attack_steps: int = 0


ENDURANCE: Mapping[Effort, Endurance] = {
    "fast": Endurance(steps=150, patience=30, settling=11, rounds=1, margin=0.5, most_images=64),
    "standard": Endurance(),
    "thorough": Endurance(steps=1800, patience=120, rounds=6, margin=1.5, attack_steps=12),
}

_FAST = ENDURANCE["fast"]
LESS = hint(
    "{effort=fast}: training was not tried again where it ended too early, each step saw at most "
    "{images} images of each kind, and the class had to lose by {share} of the usual margin",
    images=_FAST.most_images,
    share=format_percent(_FAST.margin),
)


UNRESISTING = hint(
    "{effort=thorough}: training did not resist an attacker, which takes anchors and a classifier "
    "with a single head"
)


def describe_less(options: UnlearnOptions, *, resists: bool) -> tuple[str, ...]:
    """Return a note of what training at this effort leaves out."""
    if not options.trains:
        return ()
    if options.effort == "fast":
        return (LESS,)
    is_lacking = ENDURANCE[options.effort].attack_steps > 0 and not resists
    return (UNRESISTING,) if is_lacking else ()

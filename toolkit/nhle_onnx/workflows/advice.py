"""unlearn: what would help where a gate failed that training should have kept."""

from collections.abc import Sequence

from nhle_onnx.hints import hint
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.verdict import Check

_KNOWN = hint(
    "unmasked.acc_f: the features still show the class in images that training did not see; "
    "training on more images of it helps ({samples}, {samples_per_class})"
)
_LOST = hint(
    "delta_acc_r: training changed other classes too much; training on more images of them helps "
    "({samples}, {anchors})"
)
_CUT_SHORT = hint("{steps} ended training; without it, training ends when the class is forgotten")
_LONGER = "{reason}, and so does {effort=thorough}, which takes several times as long"


def advise(checks: Sequence[Check], options: UnlearnOptions) -> tuple[str, ...]:
    """Return notes that say how failed gates could be kept; none where nothing was trained."""
    failed = {check.name for check in checks if check.verdict == "failed"} if options.trains else ()
    advice = {"unmasked.acc_f": _help_forgetting(options), "delta_acc_r": _LOST}
    return tuple(text for name, text in advice.items() if name in failed)


def _help_forgetting(options: UnlearnOptions) -> str:
    if options.steps is not None:
        return _CUT_SHORT
    return _KNOWN if options.effort == "thorough" else hint(_LONGER, reason=_KNOWN)

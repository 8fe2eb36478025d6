"""Figures as a page writes them: with as many digits as their evidence has."""

import re

from nhle_onnx.values.audit import Measure
from nhle_onnx.values.verdict import Check

_MINUS = "\N{MINUS SIGN}"
_SHARES = re.compile(
    r"acc_[fr]|^known_before|\.detected$|recall"
    r"|^(unmasking|probe|shadows|quantization|membership|perturbation|revival)\.(?!ap_f)"
)
_YES_OR_NO = re.compile(r"\.(guessed|named)")
_FEW, _MANY = 100, 10_000  # images; one of them is 1 %, or 0.01 %
_SOME = 1000
_LEAST = 0.001  # a smaller difference means nothing to a reader


def format_share(value: float | None, images: int | None = None) -> str:
    """Write a share in percent; one image of few is more than a tenth of a percent."""
    if value is None:
        return "-"
    count = _SOME if images is None else images
    decimals = 0 if count < _FEW else 1 if count < _MANY else 2
    return f"{_sign(f'{100 * value:.{decimals}f}')} %"


def format_points(value: float | None) -> str:
    """Write a difference of two shares in points, with its sign."""
    return "-" if value is None else f"{_sign(f'{100 * value:+.1f}')} points"


def format_plain(value: float | None, cap: float | None = None) -> str:
    """Write any other figure: a count unchanged, otherwise three digits."""
    if value is None:
        return "-"
    if cap is not None and value > cap:
        return f"> {cap:g}"
    if 0 < abs(value) < _LEAST:
        return f"< {_LEAST:g}" if value > 0 else f"> {_MINUS}{_LEAST:g}"
    if float(value).is_integer():
        return _sign(f"{int(value):,}")
    return _sign(f"{value:.3g}" if abs(value) < _SOME else f"{value:,.0f}")


def format_precision(value: float | None) -> str:
    """Write an average precision, and that it is one: beside it may stand shares."""
    return "-" if value is None else f"AP {format_plain(value)}"


def format_position(value: float | None) -> str:
    """Write where a figure stands between the original, 0, and the retrained model, 1."""
    return "-" if value is None else _sign(f"{value:.2f}")


def format_of_check(check: Check, value: float | None) -> str:
    """Write a figure of a check as its kind has it: a share, a difference of shares, or a count."""
    if check.name.endswith(".position"):
        return format_position(value)
    if check.name.startswith("delta_acc"):
        return format_points(value)
    if is_share(check.name):
        return format_share(value, check.evidence.images if check.evidence else None)
    return format_plain(value)


def format_of_measure(measure: Measure, value: float | None) -> str:
    """Write a figure of an attack; one beyond its cap was never reached."""
    if value in (0, 1) and _YES_OR_NO.search(measure.name):
        return "yes" if value else "no"
    return format_share(value) if is_share(measure.name) else format_plain(value, measure.cap)


def is_share(name: str) -> bool:
    """Whether a check's or a measure's figure is a share of images."""
    return bool(_SHARES.search(name))


def _sign(text: str) -> str:
    """Write a minus sign, and no sign before a zero."""
    plain = text.replace("-", _MINUS)
    return plain.lstrip("+" + _MINUS) if not plain.strip("+0." + _MINUS) else plain

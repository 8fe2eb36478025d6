"""What a detector itself says of its images, before training."""

from torch import Tensor

from nhle_onnx.detection.reading import Answers
from nhle_onnx.unlearning.locations import Outputs
from nhle_onnx.unlearning.probing import Probe

SURE = 0.3  # score of a location that detects something
_PRESENT = 0.15  # score of a class that is still detected
_MIRROR_AGREEMENT = 0.8
_SHIFT_SHARE = 0.08  # of the image's shorter side
_MARGIN = 0.25  # below the level, once training has settled a quarter of it: objects to come differ
_SMALLEST_SCALE = 1e-6


def probe_detector(outputs: Outputs, mirrored: Answers, extents: tuple[int, int]) -> Probe:
    """Compare answers on images and on the same mirrored. The scale is the spread of logits, about
    their mean, where something is detected.
    """
    shows = outputs.answers.scores.amax(2) >= SURE
    logits = outputs.logits[shows] if shows.any() else outputs.logits.flatten(0, 1)
    spread = float((logits - logits.mean(1, keepdim=True)).std())
    return Probe(
        answers=(),
        scale=max(spread, _SMALLEST_SCALE),
        margin=_MARGIN,
        mirrors=measure_agreement(outputs.answers.scores, mirrored.scores) >= _MIRROR_AGREEMENT,
        max_shift=max(1, round(_SHIFT_SHARE * min(extents))),
    )


def measure_agreement(scores: Tensor, mirrored: Tensor) -> float:
    """Return the share of classes detected in images [N, A, C] that their mirror images show."""
    shown = scores.amax(1) >= SURE
    return float((mirrored.amax(1) >= _PRESENT)[shown].float().mean()) if shown.any() else 0.0

"""What lies between a head and its graph output."""

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from nhle_onnx.values.model import QuantParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What was found on the way back from `output`.

    `scores` names the last tensor before a softmax or the like; `limits` are the quantization
    parameters that round the scores, nearest to the output first. `is_separate` says that each
    score is read by itself, as behind a sigmoid.
    """

    output: gs.Tensor
    scores: str
    scores_quant_params: QuantParams | None = None
    is_pooled: bool = False
    is_clamped: bool = False
    is_separate: bool = False
    limits: tuple[QuantParams, ...] = ()

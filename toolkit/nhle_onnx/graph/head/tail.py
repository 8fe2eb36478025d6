"""What may stand between a head and its output: operators that keep the order of the scores.

To allow another one, add a row to `TAIL`: an operator, and what it does to the scores.
"""

from collections.abc import Mapping
from enum import Enum

import onnx_graphsurgeon as gs


class Map(Enum):
    """What an operator does to the scores behind a head."""

    PASSES = "keeps each score, in another shape or type"
    ROUNDS = "rounds scores to steps, or back"
    POOLS = "takes the mean or maximum of each class's map of scores"
    CLAMPS = "clips scores at a bound, where they can become equal"
    NORMALIZES = "turns scores into probabilities"
    SEPARATES = "turns each score into a probability of its own"


TAIL: Mapping[str, Map] = {
    "AveragePool": Map.POOLS,
    "Cast": Map.PASSES,
    "Clip": Map.CLAMPS,
    "DequantizeLinear": Map.ROUNDS,
    "Dropout": Map.PASSES,
    "Flatten": Map.PASSES,
    "GlobalAveragePool": Map.POOLS,
    "GlobalMaxPool": Map.POOLS,
    "Identity": Map.PASSES,
    "LogSoftmax": Map.NORMALIZES,
    "QLinearAveragePool": Map.POOLS,
    "QLinearGlobalAveragePool": Map.POOLS,
    "QLinearSigmoid": Map.SEPARATES,
    "QLinearSoftmax": Map.NORMALIZES,
    "QuantizeLinear": Map.ROUNDS,
    "ReduceMean": Map.POOLS,
    "Relu": Map.CLAMPS,
    "Reshape": Map.PASSES,
    "Sigmoid": Map.SEPARATES,
    "Softmax": Map.NORMALIZES,
    "Squeeze": Map.PASSES,
}


def skip_normalization(node: gs.Node) -> gs.Tensor | None:
    """Return the scores that a softmax, a sigmoid or the like reads; None for any other node."""
    if TAIL.get(node.op) in {Map.NORMALIZES, Map.SEPARATES}:
        scores: gs.Tensor = node.inputs[0]
        return scores
    return _skip_decomposed_softmax(node)


def _skip_decomposed_softmax(node: gs.Node) -> gs.Tensor | None:
    """Return the x of exp(x - max x) / sum exp(x - max x), as Keras exporters write a softmax."""
    if node.op != "Div" or _op_of(node.inputs[1]) != "ReduceSum" or _op_of(node.inputs[0]) != "Exp":
        return None
    exponent = node.inputs[0].inputs[0].inputs[0]
    if _op_of(exponent) == "Sub" and _op_of(exponent.inputs[0].inputs[1]) == "ReduceMax":
        return exponent.inputs[0].inputs[0]
    return exponent


def _op_of(tensor: gs.Tensor) -> str:
    return tensor.inputs[0].op if tensor.inputs else ""

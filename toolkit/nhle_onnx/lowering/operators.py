"""The operators that can be lowered, as data: reading this table needs no torch.

A row says which opsets it serves, which module of `lowering.ops` holds the function (named as
the operator, in snake case, unless said otherwise), and which inputs may hold trained weights.
"""

import re
from dataclasses import dataclass

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Operator:
    """One row: an operator of a domain, for opsets `since` to `until` (None: the newest)."""

    op_type: str
    family: str
    weights: tuple[int, ...] = ()
    since: int = 1
    until: int | None = None
    function: str = ""
    domain: str = ""

    @property
    def function_name(self) -> str:
        """Name of the lowering function in its family's module."""
        return self.function or _WORD_START.sub("_", self.op_type).lower()

    def serves(self, opset: int) -> bool:
        """Whether this row covers an opset."""
        return self.since <= opset and (self.until is None or opset <= self.until)


OPERATORS = (
    Operator("AveragePool", "pooling"),
    Operator("GlobalAveragePool", "pooling"),
    Operator("GlobalMaxPool", "pooling"),
    Operator("MaxPool", "pooling"),
    Operator("BatchNormalization", "normalization", weights=(1, 2)),
    Operator("Conv", "linear", weights=(1, 2)),
    Operator("Gemm", "linear", weights=(0, 1, 2)),
    Operator("MatMul", "linear", weights=(0, 1), function="matmul"),
    Operator("Add", "elementwise", weights=(0, 1)),
    Operator("Div", "elementwise", weights=(0, 1)),
    Operator("Mul", "elementwise", weights=(0, 1)),
    Operator("Sub", "elementwise", weights=(0, 1)),
    Operator("Pow", "elementwise"),
    Operator("Sqrt", "elementwise"),
    Operator("Erf", "elementwise"),
    Operator("Cast", "elementwise"),
    Operator("Clip", "activation"),
    Operator("Dropout", "activation"),
    Operator("Elu", "activation"),
    Operator("Gelu", "activation", since=20),
    Operator("HardSigmoid", "activation"),
    Operator("HardSwish", "activation", since=14),
    Operator("LeakyRelu", "activation"),
    Operator("LogSoftmax", "activation", since=13),
    Operator("LogSoftmax", "activation", until=12, function="log_softmax_flattened"),
    Operator("PRelu", "activation", weights=(1,), function="prelu"),
    Operator("Relu", "activation"),
    Operator("Sigmoid", "activation"),
    Operator("Softmax", "activation", since=13),
    Operator("Softmax", "activation", until=12, function="softmax_flattened"),
    Operator("Tanh", "activation"),
    Operator("ReduceMean", "reduction"),
    Operator("Concat", "shape"),
    Operator("Constant", "shape"),
    Operator("Flatten", "shape"),
    Operator("Gather", "shape"),
    Operator("Identity", "shape"),
    Operator("Pad", "shape"),
    Operator("Reshape", "shape"),
    Operator("Shape", "shape"),
    Operator("Slice", "shape"),
    Operator("Squeeze", "shape"),
    Operator("Transpose", "shape"),
    Operator("Unsqueeze", "shape"),
)

_DEFAULT_DOMAINS = ("", "ai.onnx")


def find_operator(domain: str, op_type: str, opset: int) -> Operator | None:
    """The row that serves an operator at an opset, or None if it is not supported."""
    domain = "" if domain in _DEFAULT_DOMAINS else domain
    for row in OPERATORS:
        if (row.domain, row.op_type) == (domain, op_type) and row.serves(opset):
            return row
    return None

"""The operators that can be lowered, as data: reading this table needs no torch.

A row says which opsets it serves, which module of `lowering.ops` holds the function (by default
named as the operator, in snake case), and which inputs may hold trained weights.
"""

import re
from collections import defaultdict
from dataclasses import dataclass

# Families of operators whose weights may be integers.
_INTEGER_FAMILIES = frozenset({"integer_kernels", "packed", "quantized_elementwise", "quantizers"})
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

    @property
    def reads_integers(self) -> bool:
        """Whether its weights may be integers."""
        return self.family in _INTEGER_FAMILIES

    def serves(self, opset: int) -> bool:
        """Whether this row covers an opset."""
        return self.since <= opset and (self.until is None or opset <= self.until)


OPERATORS = (
    Operator("AveragePool", "pooling"),
    Operator("GlobalAveragePool", "global_pooling"),
    Operator("GlobalLpPool", "global_pooling"),
    Operator("GlobalMaxPool", "global_pooling"),
    Operator("LpPool", "pooling"),
    Operator("MaxPool", "pooling"),
    Operator("BatchNormalization", "normalization", weights=(1, 2)),
    Operator("GroupNormalization", "normalization", weights=(1, 2), since=21),
    Operator(
        "GroupNormalization",
        "normalization",
        weights=(1, 2),
        since=18,
        until=20,
        function="group_normalization_by_group",
    ),
    Operator("InstanceNormalization", "normalization", weights=(1, 2)),
    Operator("LayerNormalization", "normalization", weights=(1, 2), since=17),
    Operator("LpNormalization", "normalization"),
    Operator("LRN", "normalization", function="lrn"),
    Operator("MeanVarianceNormalization", "normalization", since=9),
    Operator(
        "RMSNormalization", "normalization", weights=(1,), since=23, function="rms_normalization"
    ),
    Operator("Scaler", "normalization", domain="ai.onnx.ml"),
    Operator("Attention", "attention", since=23),
    Operator("Conv", "linear", weights=(1, 2)),
    Operator("ConvTranspose", "transposed", weights=(1, 2)),
    Operator("Einsum", "linear", weights=(0, 1), since=12),
    Operator("Gemm", "linear", weights=(0, 1, 2)),
    Operator("MatMul", "linear", weights=(0, 1), function="matmul"),
    Operator("Abs", "elementwise"),
    Operator("Add", "elementwise", weights=(0, 1)),
    Operator("Ceil", "elementwise"),
    Operator("Div", "elementwise", weights=(0, 1)),
    Operator("Erf", "elementwise", since=9),
    Operator("Exp", "elementwise"),
    Operator("Floor", "elementwise"),
    Operator("Log", "elementwise"),
    Operator("Max", "elementwise"),
    Operator("Mean", "elementwise"),
    Operator("Min", "elementwise"),
    Operator("Mod", "elementwise", since=10),
    Operator("Mul", "elementwise", weights=(0, 1)),
    Operator("Neg", "elementwise"),
    Operator("Pow", "elementwise"),
    Operator("Reciprocal", "elementwise"),
    Operator("Round", "elementwise", since=11),
    Operator("Sign", "elementwise", since=9),
    Operator("Sqrt", "elementwise"),
    Operator("Sub", "elementwise", weights=(0, 1)),
    Operator("Sum", "elementwise"),
    Operator("Acos", "trigonometric"),
    Operator("Acosh", "trigonometric", since=9),
    Operator("Asin", "trigonometric"),
    Operator("Asinh", "trigonometric", since=9),
    Operator("Atan", "trigonometric"),
    Operator("Atanh", "trigonometric", since=9),
    Operator("Cos", "trigonometric"),
    Operator("Cosh", "trigonometric", since=9),
    Operator("Sin", "trigonometric"),
    Operator("Sinh", "trigonometric", since=9),
    Operator("Tan", "trigonometric"),
    Operator("BitShift", "bitwise", since=11),
    Operator("BitwiseAnd", "bitwise", since=18),
    Operator("BitwiseNot", "bitwise", since=18),
    Operator("BitwiseOr", "bitwise", since=18),
    Operator("BitwiseXor", "bitwise", since=18),
    Operator("And", "logic", function="and_"),
    Operator("Equal", "logic"),
    Operator("Greater", "logic"),
    Operator("GreaterOrEqual", "logic", since=12),
    Operator("IsInf", "logic", since=10),
    Operator("IsNaN", "logic", since=9, function="is_nan"),
    Operator("Less", "logic"),
    Operator("LessOrEqual", "logic", since=12),
    Operator("Not", "logic", function="not_"),
    Operator("Or", "logic", function="or_"),
    Operator("Where", "logic", since=9),
    Operator("Xor", "logic"),
    Operator("Cast", "types"),
    Operator("CastLike", "types", since=15),
    Operator("Celu", "activation", since=12),
    Operator("Clip", "activation"),
    Operator("Dropout", "activation"),
    Operator("Elu", "activation"),
    Operator("Gelu", "activation", since=20),
    Operator("HardSigmoid", "activation"),
    Operator("HardSwish", "activation", since=14),
    Operator("LeakyRelu", "activation"),
    Operator("Mish", "activation", since=18),
    Operator("PRelu", "activation", weights=(1,), function="prelu"),
    Operator("Relu", "activation"),
    Operator("Selu", "activation"),
    Operator("Shrink", "activation", since=9),
    Operator("Sigmoid", "activation"),
    Operator("Softplus", "activation"),
    Operator("Softsign", "activation"),
    Operator("Swish", "activation", since=24),
    Operator("Tanh", "activation"),
    Operator("ThresholdedRelu", "activation", since=10),
    Operator("Hardmax", "softmax", since=13),
    Operator("Hardmax", "softmax", until=12, function="hardmax_flattened"),
    Operator("LogSoftmax", "softmax", since=13),
    Operator("LogSoftmax", "softmax", until=12, function="log_softmax_flattened"),
    Operator("Softmax", "softmax", since=13),
    Operator("Softmax", "softmax", until=12, function="softmax_flattened"),
    Operator("ReduceL1", "reduction", function="reduce_l1"),
    Operator("ReduceL2", "reduction", function="reduce_l2"),
    Operator("ReduceLogSum", "reduction"),
    Operator("ReduceLogSumExp", "reduction"),
    Operator("ReduceMax", "reduction"),
    Operator("ReduceMean", "reduction"),
    Operator("ReduceMin", "reduction"),
    Operator("ReduceProd", "reduction"),
    Operator("ReduceSum", "reduction"),
    Operator("ReduceSumSquare", "reduction"),
    Operator("ArgMax", "search"),
    Operator("ArgMin", "search"),
    Operator("CumSum", "search", since=11),
    Operator("NonZero", "search", since=9),
    Operator("TopK", "search", function="top_k"),
    Operator("Concat", "shape", weights=(0, 1)),  # such as a class token before the patches
    Operator("Expand", "shape", weights=(0,), since=8),
    Operator("Flatten", "shape"),
    Operator("Identity", "shape"),
    Operator("Reshape", "shape"),
    Operator("Shape", "shape"),
    Operator("Size", "shape"),
    Operator("SequenceAt", "sequence", since=11),
    Operator("Split", "shape"),
    Operator("SplitToSequence", "sequence", since=11),
    Operator("Squeeze", "shape"),
    Operator("Tile", "shape"),
    Operator("Transpose", "shape"),
    Operator("Unsqueeze", "shape"),
    Operator("Compress", "selection", since=9),
    Operator("Gather", "selection", weights=(0,)),
    Operator("GatherElements", "selection", since=11),
    Operator("GatherND", "selection", since=11, function="gather_nd"),
    Operator("ScatterElements", "selection", since=11),
    Operator("ScatterND", "selection", since=11, function="scatter_nd"),
    Operator("Slice", "selection"),
    Operator("Constant", "creation"),
    Operator("ConstantOfShape", "creation", since=9),
    Operator("EyeLike", "creation", since=9),
    Operator("OneHot", "creation", since=9),
    Operator("Range", "creation", since=11),
    Operator("Trilu", "creation", since=14),
    Operator("Pad", "padding"),
    Operator("DepthToSpace", "image"),
    Operator("GridSample", "image", since=16),
    Operator("Resize", "resize", since=10),
    Operator("SpaceToDepth", "image"),
    Operator("Upsample", "resize", until=9),
    Operator("ConvInteger", "integer_kernels", weights=(1,), since=10),
    Operator("DequantizeLinear", "quantizers", since=10),
    Operator("DynamicQuantizeLinear", "quantizers", since=11),
    Operator("MatMulInteger", "integer_kernels", weights=(0, 1), since=10),
    Operator("QLinearConv", "integer_kernels", weights=(3, 8), since=10, function="q_linear_conv"),
    Operator(
        "QLinearMatMul", "integer_kernels", weights=(0, 3), since=10, function="q_linear_matmul"
    ),
    Operator("QuantizeLinear", "quantizers", since=10),
    *(
        Operator(op_type, family, weights=weights, domain="com.microsoft", function=function)
        for op_type, family, weights, function in (
            ("Attention", "fused", (1, 2), ""),
            ("BiasGelu", "fused", (1,), ""),
            ("DequantizeLinear", "quantizers", (), ""),
            ("FastGelu", "fused", (1,), ""),
            ("FusedConv", "fused", (1, 2), ""),
            ("FusedGemm", "fused", (0, 1, 2), ""),
            ("FusedMatMul", "fused", (0, 1), "fused_matmul"),
            ("Gelu", "fused", (), ""),
            ("MatMulNBits", "packed", (1,), "mat_mul_n_bits"),
            ("MultiHeadAttention", "fused", (3,), ""),
            ("QGemm", "integer_kernels", (3, 6), "q_gemm"),
            ("QLinearAdd", "quantized_elementwise", (0, 3), "q_linear_add"),
            ("QLinearAveragePool", "integer_kernels", (), "q_linear_average_pool"),
            ("QLinearConcat", "quantized_elementwise", (), "q_linear_concat"),
            ("QLinearConv", "integer_kernels", (3, 8), "q_linear_conv"),
            ("QLinearGlobalAveragePool", "integer_kernels", (), "q_linear_global_average_pool"),
            ("QLinearLeakyRelu", "quantized_elementwise", (), "q_linear_leaky_relu"),
            ("QLinearMul", "quantized_elementwise", (0, 3), "q_linear_mul"),
            ("QLinearSigmoid", "quantized_elementwise", (), "q_linear_sigmoid"),
            ("QLinearSoftmax", "quantized_elementwise", (), "q_linear_softmax"),
            ("QuantizeLinear", "quantizers", (), ""),
            ("QuickGelu", "fused", (), ""),
            ("SkipLayerNormalization", "fused", (2, 3, 4), ""),
        )
    ),
)

_DEFAULT_DOMAINS = ("", "ai.onnx")
_ROWS: defaultdict[tuple[str, str], list[Operator]] = defaultdict(list)
for _row in OPERATORS:
    _ROWS[_row.domain, _row.op_type].append(_row)


def find_operator(domain: str, op_type: str, opset: int) -> Operator | None:
    """Return the row that serves an operator at an opset, or None if it is not supported."""
    domain = "" if domain in _DEFAULT_DOMAINS else domain
    rows = _ROWS.get((domain, op_type), ())
    return next((row for row in rows if row.serves(opset)), None)

"""Small networks with every form of tail behind a head, and every form of head that these need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.load import load_model
from nhle_onnx.values.model import OnnxModel
from support.graphs import MICROSOFT, Array, keep_used, make_model, make_node

CLASSES, FEATURES = 5, 6
RNG = np.random.default_rng(3)
WEIGHT, OTHER = RNG.normal(size=(2, CLASSES, FEATURES)).astype(np.float32)
BIAS, SHIFT = RNG.normal(size=(2, CLASSES)).astype(np.float32)
GAIN = np.array([0.5, 2.0, 1.0, 3.0, 0.25], np.float32)
LOW = numpy_helper.from_array(np.array([-1e4], np.float32))
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def i64(*values: int) -> Array:
    return np.array(values, np.int64)


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


def at(index: int) -> Array:
    """An index without axes."""
    return np.array(index, np.int64)


TENSORS: Mapping[str, Array] = {
    "w": WEIGHT, "wt": WEIGHT.T.copy(), "v": OTHER, "vt": OTHER.T.copy(), "b": BIAS, "c": SHIFT,
    "column": BIAS[:, None], "t": f32(2.5), "hundred": f32(100), "minus": f32(-2), "gain": GAIN,
    "half": f32(0.5), "one": f32(1), "zero": f32(0), "six": f32(6), "low": f32(-1e4),
    "two2": np.full(CLASSES, 2, np.float32), "at0": at(0), "at1": at(1),
    "at2": at(2), "third": at(2), "before_last": at(-2),
    "two_each": at(2), "tiny": f32(1e-12), "log": f32(2.5), "two": f32(2),
    "hides": f32(0, 0, -np.inf, 0, 0), "masks": f32(1, 1, 0, 1, 1),
    "is_kept": np.array([True, True, False, True, True]),
    "is_hidden": np.array([0, 0, 1, 0, 0], bool),
    "mean": SHIFT, "variance": np.abs(BIAS) + f32(0.5),
    "lengths": np.linalg.norm(WEIGHT, axis=1, keepdims=True), "shape_w": i64(CLASSES, FEATURES),
    "w4": WEIGHT[:, :, None, None],
    "window": RNG.normal(size=(CLASSES, 2, 1, 3)).astype(np.float32),
    "square": RNG.normal(size=(CLASSES, 3, 2, 2)).astype(np.float32),
    "shape4": i64(-1, CLASSES, 1, 1), "shape2": i64(0, CLASSES),
    "shape_in": i64(-1, FEATURES, 1),
    "shape_map": i64(0, 2, 1, 3),
    "zeros": i64(0, 0, 1), "left": i64(0, -1), "ends": i64(-1, -2), "a12": i64(1, 2),
    "gains": np.stack([SHIFT, GAIN]), "column3": SHIFT[:, None, None],
    "given": f32(1, 2, 1, 2, 1)[:, None],
    "a0": i64(0), "a1": i64(1), "a2": i64(2), "a-1": i64(-1), "a23": i64(2, 3),
    "from1": i64(1), "to-1": i64(-1), "end": i64(2**31 - 1),
    "start": i64(0), "reversed": i64(-1), "before": i64(-(2**31)),
    "order": i64(3, 0, 4, 1), "order2": i64(3, 0, 4, 1)[:, None], "parts": i64(2, 3),
    "first2": i64(2),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A graph from `x` to `y`.

    `image` is the shape of one image. `loses_ties`: only a class behind a retained one can be
    masked. `keeps_order`: the others do so; two softmaxes share out what the class had in their own
    ways. `kept` are classes that no constant stands for, `graph_output` the scores, if not `y`.
    """

    nodes: tuple[NodeProto, ...]
    classes: int = CLASSES
    image: tuple[int, ...] = (FEATURES,)
    declared: tuple[int | str, ...] = ("k",)
    loses_ties: bool = False
    keeps_order: bool = True
    kept: tuple[int, ...] = ()
    graph_output: str | None = None
    spread: float = 3.0
    kind: int = FLOAT
    tensors: Mapping[str, Array] = field(default_factory=lambda: TENSORS)

    def build(self) -> ModelProto:
        """The model, for any number of images."""
        tensors = keep_used(self.tensors, self.nodes)
        outputs = {"y": ["n", *self.declared]}
        model = make_model(self.nodes, {"x": ["n", *self.image]}, outputs, tensors, opset=20)
        model.graph.output[0].type.tensor_type.elem_type = self.kind
        return model

    def draw(self, count: int = 200) -> Array:
        """Images, near and far."""
        rng = np.random.default_rng(7)
        far = self.spread ** rng.uniform(-2, 2, (count, *[1] * len(self.image)))
        return (far * rng.normal(size=(count, *self.image))).astype(np.float32)

    @property
    def forgettable(self) -> tuple[int, ...]:
        """Classes that can be forgotten."""
        kept = self.kept or tuple(range(self.classes))
        return tuple(each for each in kept if each or not self.loses_ties)


def load(proto: ModelProto, folder: Path) -> OnnxModel:
    """The model as it is read from a file."""
    onnx.save(proto, folder / "model.onnx")
    return load_model(folder / "model.onnx")


def n(op: str, inputs: str, output: str, **attributes: object) -> NodeProto:
    return make_node(op, inputs, output, name=f"/{output}", **attributes)


GEMM = n("Gemm", "x w b", "z", transB=1)


def behind(*nodes: NodeProto, **fields: object) -> Callable[[], Tail]:
    """A Gemm and what comes behind its logits `z`."""
    return lambda: Tail(nodes=(GEMM, *nodes), **fields)  # type: ignore[arg-type]  # of any field


def whole(*nodes: NodeProto, **fields: object) -> Callable[[], Tail]:
    return lambda: Tail(nodes=nodes, **fields)  # type: ignore[arg-type]  # of any field


def unit(source: str, output: str, axis: str = "a1") -> tuple[NodeProto, ...]:
    """Rows divided by their lengths, as PyTorch's `normalize` is exported."""
    return (
        n("ReduceL2", f"{source} {axis}", f"{output}.l", keepdims=1),
        n("Clip", f"{output}.l tiny", f"{output}.c"),
        n("Div", f"{source} {output}.c", output),
    )


FACTORS: dict[str, Callable[[], Tail]] = {
    "temperature": behind(n("Div", "z t", "y")),
    "times 100": behind(n("Mul", "hundred z", "y")),
    "times a negative number, twice": behind(n("Mul", "z minus", "u"), n("Neg", "u", "y")),
    "exponential of a constant": behind(n("Exp", "log", "s"), n("Mul", "z s", "y")),
    "a factor for each class": behind(n("Mul", "z gain", "y")),
    "a temperature in an attribute": behind(
        helper.make_node("Constant", [], ["k"], value_float=2.5), n("Div", "z k", "y")
    ),
    "a factor for each class, from a table": behind(
        n("Gather", "gains at1", "g", axis=0), n("Mul", "z g", "y")
    ),
    "temperature before softmax": behind(n("Div", "z t", "u"), n("Softmax", "u", "y")),
    "batch norm": behind(n("BatchNormalization", "z gain c mean variance", "y")),
}  # fmt: skip
SUMMANDS: dict[str, Callable[[], Tail]] = {
    "an offset": behind(n("Add", "z c", "y")),
    "an offset taken away": behind(n("Sub", "z c", "y")),
    "taken away from an offset, and turned": behind(n("Sub", "c z", "u"), n("Neg", "u", "y")),
    "logit adjustment before softmax": behind(n("Sub", "z c", "u"), n("Softmax", "u", "y")),
    "a class masked by -inf": behind(n("Add", "z hides", "y"), kept=(0, 1, 3, 4)),
    "a class masked by Where": behind(n("Where", "is_kept z low", "y"), kept=(0, 1, 3, 4)),
    "a class masked by Where, turned": behind(
        n("Where", "is_hidden low z", "u"), n("Softmax", "u", "y"), kept=(0, 1, 3, 4)
    ),
    "a class masked by Where and a filled tensor": behind(
        n("Shape", "z", "s"), n("ConstantOfShape", "s", "l", value=LOW),
        n("Where", "is_hidden l z", "y"), kept=(0, 1, 3, 4),
    ),
    "a class masked by 0 behind softmax": behind(
        n("Softmax", "z", "p"), n("Mul", "p masks", "y"), kept=(0, 1, 3, 4)
    ),
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[], Tail]] = {
    "log of softmax": behind(n("Softmax", "z", "p"), n("Log", "p", "y"), spread=1.5),
    "log of sigmoid": behind(n("Sigmoid", "z", "p"), n("Log", "p", "y"), spread=1.2),
    "softplus": behind(n("Softplus", "z", "y"), loses_ties=True),
    "tanh": behind(n("Tanh", "z", "y"), loses_ties=True),
    "hard sigmoid": behind(n("HardSigmoid", "z", "y", alpha=0.1), loses_ties=True),
    "leaky relu": behind(n("LeakyRelu", "z", "y", alpha=0.1)),
    "relu, then a factor": behind(
        n("Relu", "z", "u"), n("Mul", "u t", "y"), loses_ties=True
    ),
    "softsign": behind(n("Softsign", "z", "y"), loses_ties=True),
    "exp": behind(n("Exp", "z", "y"), spread=1.5, loses_ties=True),
    "relu6": behind(n("Clip", "z zero six", "y"), loses_ties=True),
    "clip from below": behind(n("Clip", "z low", "y"), loses_ties=True),
    "elu": behind(n("Elu", "z", "y"), loses_ties=True),
    "evidence over its sum": behind(
        n("Softplus", "z", "e"), n("Add", "e one", "alpha"), n("ReduceSum", "alpha a1", "s"),
        n("Div", "alpha s", "y"), loses_ties=True,
    ),
    "softplus as PyTorch computes it": behind(
        n("Softplus", "z", "s"), n("Greater", "z six", "l"), n("Where", "l z s", "y"),
        loses_ties=True,
    ),
    "divided by their length": behind(
        n("ReduceL2", "z a1", "l"), n("Clip", "l tiny", "lc"), n("Div", "z lc", "y")
    ),
    "divided by their length, then cut off": behind(
        n("ReduceL2", "z a1", "l"), n("Div", "z l", "u"), n("Relu", "u", "y"), loses_ties=True
    ),
    "LpNormalization, then cut off": behind(
        n("LpNormalization", "z", "u", axis=-1), n("Relu", "u", "y"), loses_ties=True
    ),
    "softsign as PyTorch exports it": behind(
        n("Abs", "z", "a"), n("Add", "one a", "d"), n("Div", "z d", "y"), loses_ties=True
    ),
    "atan": behind(n("Atan", "z", "y"), loses_ties=True),
    "asinh": behind(n("Asinh", "z", "y")),
    "parametric relu": behind(n("PRelu", "z half", "y")),
    "standardised": behind(n("LayerNormalization", "z two2", "y")),
    "log-softmax in parts": behind(n("ReduceLogSumExp", "z a1", "s"), n("Sub", "z s", "y")),
}  # fmt: skip
MOVES: dict[str, Callable[[], Tail]] = {
    "transposed twice": behind(
        n("Transpose", "z", "t0"), n("Mul", "t0 t", "t1"), n("Transpose", "t1", "y", perm=[1, 0])
    ),
    "unsqueezed": behind(n("Unsqueeze", "z a2", "y"), declared=("k", "m")),
    "unsqueezed before its classes": behind(
        n("Unsqueeze", "z a1", "u"), n("Add", "u c", "y"), declared=("m", "k")
    ),
    "reshaped, then shifted": behind(
        n("Reshape", "z shape4", "u"), n("Squeeze", "u a23", "v0"), n("Add", "v0 c", "y")
    ),
    "reshaped by zeros": behind(
        n("Reshape", "z zeros", "u"), n("Add", "u column", "y"), declared=("k", 1)
    ),
    "reshaped to what is left": behind(n("Reshape", "z left", "u"), n("Add", "u c", "y")),
    "reshaped by measured extents": behind(
        n("Unsqueeze", "z a2", "u"), n("Shape", "u", "s"), n("Abs", "s", "m"),
        n("Reshape", "u m", "v0"), n("ReduceMean", "v0 a2", "y", keepdims=0),
    ),
    "unsqueezed, counted from the end": behind(
        n("Unsqueeze", "z ends", "u"), n("Add", "u column3", "y"), declared=("k", 1, 1)
    ),
    "of a rank that nothing tells, unsqueezed": whole(
        n("FastGelu", "x", "g", domain=MICROSOFT), n("MatMul", "g wt", "z"),
        n("Unsqueeze", "z a2", "u"), n("Softmax", "u", "y", axis=1), declared=("k", "m"),
    ),
    "a point, squeezed": whole(
        n("Conv", "x w4 b", "z"), n("Squeeze", "z", "u"), n("Add", "u c", "y"),
        image=(FEATURES, 1, 1),
    ),
    "a map that has nothing to squeeze": whole(
        n("Conv", "x w4 b", "z"), n("Squeeze", "z", "u"), n("Add", "u column3", "v0"),
        n("GlobalAveragePool", "v0", "p"), n("Flatten", "p", "y"), image=(FEATURES, 2, 3),
    ),
    "every image sliced": behind(n("Slice", "z start end a0", "u"), n("Add", "u c", "y")),
    "pooled over no axis": behind(
        n("ReduceMean", "z", "u", noop_with_empty_axes=1), n("Add", "u c", "y")
    ),
    "background sliced away": behind(n("Slice", "z from1 end a1", "y"), classes=4),
    "last class sliced away": behind(n("Slice", "z start to-1 a-1", "y"), classes=4),
    "reversed": behind(n("Slice", "z reversed before a1 reversed", "y")),
    "gathered": behind(n("Gather", "z order", "u", axis=1), n("Softmax", "u", "y"), classes=4),
    "sliced and joined anew": behind(
        n("Slice", "z start first2 a1", "p"), n("Slice", "z first2 end a1", "q"),
        n("Concat", "q p", "y", axis=1),
    ),
    "split and joined anew": behind(
        helper.make_node("Split", ["z", "parts"], ["p", "q"], axis=1),
        n("Concat", "q p", "y", axis=1),
    ),
    "joined with a constant class": behind(
        n("Mul", "z zero", "n0"), n("Slice", "n0 start from1 a1", "n1"),
        n("Concat", "n1 z", "y", axis=1),
        classes=6, kept=(1, 2, 3, 4, 5),
    ),
    "halves by the extent that the graph measures": behind(
        n("Shape", "z", "s"), n("Gather", "s a1", "k"), n("Add", "k a1", "k1"),
        n("Div", "k1 first2", "h"), n("Mul", "h first2", "end2"),
        n("Slice", "z start h a1", "p"), n("Slice", "z h end2 a1", "q"),
        n("Concat", "q p", "y", axis=1),
    ),
    "the second half by a measured axis": behind(
        n("Shape", "z", "k", start=1, end=2), n("Div", "k first2", "h"),
        n("Slice", "z h end a1", "y"), classes=3,
    ),
    "parts of a sequence": behind(
        n("SplitToSequence", "z two_each", "s", axis=1), n("SequenceAt", "s third", "r"),
        n("SequenceAt", "s at0", "p"), n("SequenceAt", "s before_last", "q"),
        n("Concat", "r p q", "y", axis=1),
    ),
    "parts of computed lengths of a sequence": behind(
        n("Shape", "z", "s", start=1), n("Div", "s first2", "h"), n("Tile", "h a2", "h2"),
        n("Mod", "s first2", "m"), n("Expand", "m a1", "e"), n("Concat", "h2 e", "l", axis=0),
        n("SplitToSequence", "z l", "q", axis=1),
        *(n("SequenceAt", f"q at{index}", f"p{index}") for index in range(3)),
        n("Concat", "p2 p0", "y", axis=1), classes=3,
    ),
    "parts of given lengths of a sequence": behind(
        n("SplitToSequence", "z parts", "s", axis=-1), n("SequenceAt", "s at0", "p"),
        n("SequenceAt", "s at1", "q"), n("Concat", "q p", "y", axis=1),
    ),
    "classes one by one": behind(
        *(n("Gather", f"z at{index}", f"g{index}", axis=1) for index in range(3)),
        *(n("Unsqueeze", f"g{index} a1", f"u{index}") for index in range(3)),
        n("Concat", "u2 u0 u1", "y", axis=1), classes=3,
    ),
    "classes one by one, stacked in front": behind(
        *(n("Gather", f"z at{index}", f"g{index}", axis=-1) for index in range(3)),
        *(n("Unsqueeze", f"g{index} a0", f"u{index}") for index in range(3)),
        n("Concat", "u2 u0 u1", "v0", axis=0), n("Transpose", "v0", "y", perm=[1, 0]), classes=3,
    ),
    "classes one by one, squeezed": behind(
        helper.make_node(
            "Split", ["z"], [f"p{index}" for index in range(CLASSES)], axis=1, num_outputs=CLASSES
        ),
        *(n("Squeeze", f"p{index} a1", f"g{index}") for index in range(3)),
        *(n("Unsqueeze", f"g{index} a-1", f"u{index}") for index in range(3)),
        n("Concat", "u2 u0 u1", "y", axis=1), classes=3,
    ),
    "classes of a point one by one": whole(
        n("Conv", "x w4 b", "z"),
        *(n("Gather", f"z at{index}", f"g{index}", axis=1) for index in range(3)),
        *(n("Squeeze", f"g{index} a12", f"s{index}") for index in range(3)),
        *(n("Unsqueeze", f"s{index} a1", f"u{index}") for index in range(3)),
        n("Concat", "u2 u0 u1", "y", axis=1), classes=3, image=(FEATURES, 1, 1),
    ),
    "joined with a class of zeros": behind(
        n("Shape", "z", "m", end=1), n("Concat", "m a1", "nk", axis=0),
        n("ConstantOfShape", "nk", "n1"), n("Concat", "n1 z", "y", axis=1),
        classes=6, kept=(1, 2, 3, 4, 5),
    ),
    "gathered while turned": behind(
        n("Transpose", "z", "u"), n("GatherND", "u order2", "v0"), n("Transpose", "v0", "y"),
        classes=4,
    ),
    "gathered, shifted, tempered": behind(
        n("Add", "z c", "u"), n("Mul", "u gain", "v0"), n("Gather", "v0 order", "g", axis=-1),
        n("Div", "g t", "d"), n("Softmax", "d", "y"), classes=4,
    ),
}  # fmt: skip
HEADS: dict[str, Callable[[], Tail]] = {
    "cosine": whole(
        *unit("x", "h"), *unit("w", "u"), n("Transpose", "u", "ut"), n("MatMul", "h ut", "z"),
        n("Mul", "z hundred", "y"),
    ),
    "cosine by LpNormalization": whole(
        n("LpNormalization", "x", "h"), n("LpNormalization", "wt", "u", axis=0),
        n("MatMul", "h u", "z"), n("Mul", "z hundred", "s"), n("Softmax", "s", "y"),
    ),
    "cosine of a folded weight": whole(
        *unit("x", "h"), n("Gemm", "h w", "z", transB=1), n("Mul", "z t", "y")
    ),
    "cosine of lengths found before": whole(
        *unit("x", "h"), n("Clip", "lengths tiny", "lc"), n("Expand", "lc shape_w", "le"),
        n("Div", "w le", "u"), n("Transpose", "u", "ut", perm=[1, 0]), n("MatMul", "h ut", "z"),
        n("Mul", "z hundred", "y"),
    ),
    "cosine by squares": whole(
        n("Pow", "w two", "q"), n("ReduceSum", "q a1", "s"), n("Sqrt", "s", "l"),
        n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "cosine by products": whole(
        n("Mul", "w w", "q"), n("ReduceSum", "q a1", "s"), n("Pow", "s half", "l"),
        n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1, alpha=0.5),
    ),
    "rows of given lengths": whole(
        n("ReduceL2", "w a1", "l"), n("Div", "w l", "u"), n("Mul", "u given", "g"),
        n("Gemm", "x g b", "y", transB=1),
    ),
    "a cast before the bias": whole(
        n("Cast", "x", "xh", to=HALF), n("Cast", "wt", "wh", to=HALF), n("MatMul", "xh wh", "m"),
        n("Cast", "m", "f", to=FLOAT), n("Add", "f b", "y"),
    ),
    "an identity before the bias": whole(
        n("MatMul", "x wt", "m"), n("Identity", "m", "i"), n("Add", "b i", "y")
    ),
    "mean of two heads": whole(
        GEMM, n("Tanh", "x", "h"), n("Gemm", "h v c", "z2", transB=1), n("Add", "z z2", "s"),
        n("Div", "s two", "y"),
    ),
    "sum of three heads": whole(
        GEMM, n("MatMul", "x vt", "z2"), n("Gemm", "x v", "z3", transB=1, alpha=0.5),
        n("Sum", "z z2 z3", "u"), n("Softmax", "u", "y"),
    ),
    "one head less another": whole(GEMM, n("MatMul", "x vt", "z2"), n("Sub", "z z2", "y")),
    "mean of two softmaxes": whole(
        GEMM, n("MatMul", "x vt", "z2"), n("Softmax", "z", "p"), n("Softmax", "z2", "q"),
        n("Mean", "p q", "y"), keeps_order=False,
    ),
    "stacked heads": whole(
        GEMM, n("MatMul", "x vt", "z2"), n("Unsqueeze", "z a0", "u1"),
        n("Unsqueeze", "z2 a0", "u2"),
        n("Concat", "u1 u2", "s", axis=0), n("ReduceMean", "s a0", "y", keepdims=0),
    ),
    "heads side by side": whole(
        n("Gemm", "x w b", "z", transB=1), n("MatMul", "x vt", "z2"),
        n("Concat", "z z2", "y", axis=1), classes=10,
    ),
    "a window as long as its map": whole(
        n("Conv", "x window b", "z"), n("Flatten", "z", "y"), image=(2, 1, 3), declared=(CLASSES,)
    ),
    "a window as large as its map": whole(
        n("Conv", "x square", "z"), n("Reshape", "z shape2", "y"), image=(3, 2, 2),
        declared=(CLASSES,),
    ),
    "a window over features made a map": whole(
        n("Reshape", "x shape_map", "m"), n("Conv", "m window b", "z"), n("Flatten", "z", "y"),
        declared=(CLASSES,),
    ),
    "einsum": whole(n("Einsum", "x w", "y", equation="nd,kd->nk")),
    "einsum, the weight first": whole(
        n("Einsum", "wt x", "m", equation="dk,nd->nk"), n("Add", "m b", "y")
    ),
    "einsum of any images": whole(n("Einsum", "x w", "y", equation="...d,kd->...k")),
    "einsum whose result is not given": whole(
        n("Einsum", "x wt", "m", equation="bd,dk"), n("Add", "m b", "y")
    ),
    "a convolution with a bias, shifted": whole(
        n("Conv", "x w4 b", "z"), n("Add", "z column3", "u"), n("Flatten", "u", "y"),
        image=(FEATURES, 1, 1), declared=(CLASSES,),
    ),
    "the weight on the left, of columns": whole(
        n("Unsqueeze", "x a2", "u"), n("MatMul", "w u", "m"), n("Squeeze", "m a2", "y")
    ),
    "the weight on the left": whole(
        n("Transpose", "x", "xt"), n("MatMul", "w xt", "m"), n("Add", "m column", "s"),
        n("Transpose", "s", "y"),
    ),
    "the weight on the left, without bias": whole(
        n("Reshape", "x shape_in", "xc"), n("MatMul", "w xc", "m"), n("Squeeze", "m a2", "y"),
        image=(FEATURES,),
    ),
    "the weight on the left of a Gemm": whole(
        n("Gemm", "w x column", "m", transB=1), n("Transpose", "m", "y", perm=[1, 0])
    ),
    "argmax alone": behind(
        n("ArgMax", "z", "y", axis=1, keepdims=0), kind=TensorProto.INT64, declared=(),
        graph_output="z",
    ),
    "argmax of softmax": behind(
        n("Softmax", "z", "p"), n("ArgMax", "p", "y", axis=1), kind=TensorProto.INT64,
        declared=(1,), graph_output="p",
    ),
}  # fmt: skip
TAILS: dict[str, Callable[[], Tail]] = FACTORS | SUMMANDS | FUNCTIONS | MOVES | HEADS

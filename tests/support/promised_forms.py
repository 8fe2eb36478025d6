"""Small random classifiers in the forms that people deploy, and some that nobody can train."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from support.graphs import MICROSOFT

Axes = list[int | str]
CLASSES, CHANNELS, SIDE, FEATURES, TIME = 4, 3, 6, 5, 7
_KINDS = {
    "float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "uint8": TensorProto.UINT8,
    "float16": TensorProto.FLOAT16,
}  # fmt: skip


@dataclass
class Draft:
    """A graph while it is drawn; `last` names the value so far, `is_map` says that it has H and W.

    `options` are the command's flags by the field that holds them.
    """

    random: Random
    shape: tuple[int, ...]
    kind: str
    last: str = "x"
    is_map: bool = True
    width: int = 0
    nodes: list[NodeProto] = field(default_factory=list)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    others: list[onnx.ValueInfoProto] = field(default_factory=list)
    constants: tuple[str, ...] = ()
    declared: Axes = field(default_factory=lambda: ["n", CLASSES])

    @property
    def dtype(self) -> type:
        """What is computed in: pixels are cast first."""
        return {"double": np.float64, "float16": np.float16}.get(self.kind, np.float32)

    def add(self, op_type: str, *more: str, domain: str = "", **attributes: Any) -> None:  # noqa: ANN401 - ONNX attributes vary
        """Append a node that reads the last value, sometimes without a name."""
        output = f"v{len(self.nodes)}"
        name = self.random.choice(["", f"/{op_type}_{len(self.nodes)}"])
        inputs = [self.last, *more]
        self.nodes.append(
            helper.make_node(op_type, inputs, [output], name=name, domain=domain, **attributes)
        )
        self.last = output

    def store(self, *shape: int) -> str:
        """Store random weights, and name them."""
        name = f"w{len(self.tensors)}"
        draw = np.random.default_rng(self.random.randrange(2**32))
        self.tensors[name] = (draw.standard_normal(shape) / max(shape[-1:])).astype(self.dtype)
        return name

    def hold(self, values: list[int]) -> str:
        """Store integers, and name them."""
        name = f"i{len(self.tensors)}"
        self.tensors[name] = np.array(values, np.int64)
        return name


@dataclass(frozen=True, slots=True)
class Form:
    """A model's file, the constants for its other inputs, and the shape and type of a sample."""

    path: Path
    constants: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    size: tuple[int, int] | None


def draw_form(seed: int, folder: Path) -> Form:
    """Draw a form, and write it with samples that fit it, `samples.npz`."""
    random = Random(seed)  # noqa: S311 - no secret
    rank = random.choice([4, 4, 4, 4, 3, 2])
    is_last = rank == 4 and random.random() < 0.3
    image = (SIDE, SIDE, CHANNELS) if is_last else (CHANNELS, SIDE, SIDE)
    shape = {4: image, 3: (TIME, FEATURES), 2: (FEATURES,)}[rank]
    kinds = ["float", "float", "float", "float16", "uint8", *["double"] * (rank < 4)]
    kind = random.choice(kinds)  # ONNX Runtime convolves no doubles on a CPU
    draft = Draft(random=random, shape=shape, kind=kind, is_map=rank == 4)
    _prepare(draft, is_last=is_last)
    _add_body(draft, rank)
    _disturb(draft)
    _add_head(draft)
    _add_tail(draft)
    axes, size = _draw_axes(draft)
    path = folder / "model.onnx"
    onnx.save(_finish(draft, axes), path)
    _write_samples(draft, folder / "samples.npz")
    return Form(path, draft.constants, shape, kind, size)


def _prepare(draft: Draft, *, is_last: bool) -> None:
    """What stands in the graph before the network."""
    if draft.kind == "uint8":
        draft.add("Cast", to=TensorProto.FLOAT)
        draft.tensors["255"] = np.array(255, np.float32)
        draft.add("Div", "255")
    if is_last:
        draft.add("Transpose", perm=[0, 3, 1, 2])


def _add_body(draft: Draft, rank: int) -> None:
    if rank == 4:
        if draft.random.random() < 0.8:
            draft.add("Conv", draft.store(8, CHANNELS, 3, 3), pads=[1, 1, 1, 1])
            draft.add("Relu")
            draft.width = 8
        else:
            draft.add("Flatten")
            draft.width, draft.is_map = CHANNELS * SIDE * SIDE, False
        return
    if rank == 3:
        draft.add("Flatten")
    draft.width = FEATURES * (TIME if rank == 3 else 1)
    if draft.random.random() < 0.8:
        draft.add("MatMul", draft.store(draft.width, 8))
        draft.add("Tanh")
        draft.width = 8


def _disturb(draft: Draft) -> None:
    """Now and then something that stands in the way of some method, or of all."""
    chance = draft.random.random()
    if chance < 0.08:
        side = SIDE if draft.is_map else draft.width
        draft.add("TransposeMatMul", draft.store(side, side), domain=MICROSOFT)
    elif chance < 0.14:
        draft.add("NonZeroed", domain="a.strangers")
    elif chance < 0.24:
        name, kind = "scale", helper.np_dtype_to_tensor_dtype(np.dtype(draft.dtype))
        shapes: list[Axes] = [[], [1], ["n", 1], [-1, 1]]
        shape = [] if draft.is_map else draft.random.choice(shapes)
        draft.others.append(helper.make_tensor_value_info(name, kind, shape))
        draft.add("Mul", name)
        draft.constants = (f"{name}=0.5",) * (draft.random.random() < 0.8)
    elif chance < 0.28:
        draft.add("Mul", draft.store(1, draft.width, *[1] * (2 * draft.is_map)))
        draft.tensors[draft.nodes[-1].input[1]][:] = np.nan


def _add_head(draft: Draft) -> None:
    if draft.is_map:
        if draft.random.random() < 0.3:
            draft.add("Conv", draft.store(CLASSES, draft.width, 1, 1), draft.store(CLASSES))
            draft.add("GlobalAveragePool")
            draft.add("Flatten")
            return
        draft.add("GlobalAveragePool")
        draft.add("Flatten")
    count = CLASSES * draft.random.choice([1, 1, 1, 1, 1, 1, 1, 3])
    if draft.random.random() < 0.5:
        draft.add("Gemm", draft.store(count, draft.width), draft.store(count), transB=1)
    else:
        draft.add("MatMul", draft.store(draft.width, count))
        draft.add("Add", draft.store(count))
    if count > CLASSES:
        draft.add("Reshape", draft.hold([-1, 3, CLASSES]))
        draft.declared = ["n", 3, CLASSES]


def _add_tail(draft: Draft) -> None:
    tail = draft.random.choice(["", "", "", "Softmax", "Sigmoid", "Relu", "Identity", "Neg"])
    if tail == "Softmax":
        draft.add(tail, axis=-1)
    elif tail:
        draft.add(tail)
    if draft.random.random() < 0.3:
        draft.declared = [_open(draft.random, extent) for extent in draft.declared]


def _open(random: Random, extent: int | str) -> int | str:
    ways: Axes = ["n", -1] if isinstance(extent, str) else ["k", extent, -1]
    return random.choice(ways)


def _draw_axes(draft: Draft) -> tuple[Axes, tuple[int, int] | None]:
    batches: Axes = ["n", "n", -1, 1, 2]
    batch = draft.random.choice(batches)
    axes: Axes = [*draft.shape]
    size = None
    if len(axes) == 3 and draft.random.random() < 0.4:
        ways: list[Axes] = [["c", "h", "w"], [-1, -1, -1]]
        axes = [*draft.random.choice(ways)]
        if draft.random.random() < 0.7:
            size = (SIDE, SIDE)
    elif len(axes) < 3 and draft.random.random() < 0.3:
        axes[-1] = "d"
    return [batch, *axes], size


def _finish(draft: Draft, axes: Axes) -> ModelProto:
    draft.nodes[-1].output[0] = "y"
    kind = _KINDS[draft.kind]
    inside = TensorProto.FLOAT if draft.kind == "uint8" else kind
    graph = helper.make_graph(
        draft.nodes,
        "drawn",
        [helper.make_tensor_value_info("x", kind, axes), *draft.others],
        [helper.make_tensor_value_info("y", inside, draft.declared)],
        [numpy_helper.from_array(values, name) for name, values in draft.tensors.items()],
    )
    opsets = [("", 17), (MICROSOFT, 1), ("a.strangers", 1)]
    imports = [helper.make_opsetid(*each) for each in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _write_samples(draft: Draft, path: Path) -> None:
    generator = np.random.default_rng(0)
    size = (3 * CLASSES, *draft.shape)
    x: np.ndarray = generator.standard_normal(size).astype(np.float32)
    if draft.kind == "uint8":
        x = generator.integers(0, 256, size, dtype=np.uint8)
    np.savez(path, x=x, y=np.arange(len(x)) % CLASSES)

"""A lowered quantized model compared with ONNX Runtime, and ONNX Runtime compared with itself."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.tensors import is_float, list_tensors, read_tensors, replace_tensors
from nhle_onnx.lowering.module import lower_model
from studies.pace import open_one_thread
from studies.quantized_rows import list_measured
from studies.quantized_subjects import Cell, make_given, open_shipped, write_model
from studies.tables import Row, make_table

PARITY_IMAGES, BATCH = 1000, 50
FLOAT_STEP = 1e-3  # of the largest logit, if the output has no scale
COMPARED = ("lowered", *(ITSELF := ("unoptimized", "nudged")))
ROUNDING = 1e-3  # of a step, as a difference of one step is itself a rounded float

Array = npt.NDArray[np.float32]


def measure_parity(cell: Cell, folder: Path) -> Row:
    """Compare the lowered module with ONNX Runtime, and ONNX Runtime with itself: without
    optimizations, and with other roundings.
    """
    subject, _, evaluation = open_shipped(cell.network)
    proto = make_given(cell.network, cell.format)
    source, output = subject.image_input.name, subject.head.output
    images = evaluation.read(range(PARITY_IMAGES))
    classes = evaluation.classes[:PARITY_IMAGES]
    model = load_model(write_model(proto, cell.network, folder))
    module = lower_model(model, source=source, output=output).module
    run_all = partial(run_in_batches, images=images, size=read_image_input(model).batch or BATCH)

    def run_module(batch: Array) -> Array:
        with torch.no_grad():
            logits: Array = module(torch.from_numpy(batch)).numpy()
        return logits

    def run_session(form: ModelProto, *, optimizes: bool = True) -> Array:
        session = open_one_thread(form, optimizes=optimizes)
        return run_all(lambda batch: session.run([output], {source: batch})[0])

    expected = run_session(proto)
    scale, largest = find_output_scale(proto, output), float(np.abs(expected).max())
    step = FLOAT_STEP * largest if scale is None else read_number(proto, scale)
    others = {
        "lowered": run_all(run_module),
        "unoptimized": run_session(proto, optimizes=False),
        "nudged": run_session(nudge(proto, scale)),
    }
    return {
        "accuracy": float((expected.argmax(1) == classes).mean()),
        "step": step,
        "largest logit": largest,
        "float output": scale is None,
        **{name: compare_logits(logits, expected, step) for name, logits in others.items()},
    }


def run_in_batches(compute: Callable[[Array], Array], images: Array, size: int) -> Array:
    """Return logits [N, K]."""
    starts = range(0, len(images), size)
    return np.concatenate([compute(images[start : start + size]) for start in starts])


def find_output_scale(proto: ModelProto, output: str) -> str | None:
    """Find the tensor with the step between two output values; None for a float output."""
    last = next(node for node in proto.graph.node if output in node.output)
    return last.input[1] if last.op_type == "DequantizeLinear" else None


def read_number(proto: ModelProto, name: str) -> float:
    """Read the single number of a tensor."""
    return float(read_tensors(proto, (name,))[name])


def nudge(proto: ModelProto, kept: str | None) -> ModelProto:
    """Return a copy with each stored float moved to the next one below or above, except in `kept`.
    This is the least effect that rounding in another order can have.
    """
    nudged = copy_model(proto)
    draw = np.random.default_rng(0)
    names = [name for name, tensor in list_tensors(proto) if is_float(tensor) and name != kept]
    replace_tensors(
        nudged,
        {
            name: np.nextafter(value, draw.choice((-np.inf, np.inf), value.shape), dtype=np.float32)
            for name, value in read_tensors(proto, tuple(names)).items()
        },
    )
    return nudged


def compare_logits(computed: Array, expected: Array, step: float) -> dict[str, float]:
    """Measure how near logits are, in steps."""
    distance = np.abs(computed.astype(np.float64) - expected) / step
    return {
        "agreement": float((computed.argmax(1) == expected.argmax(1)).mean()),
        "within": float((distance <= 1 + ROUNDING).mean()),
        "largest": float(distance.max()),
    }


def describe_parity(rows: Sequence[Row]) -> str:
    """Describe parity, beside ONNX Runtime's differences from itself."""
    if not rows:
        return ""
    measured = list_measured(rows)
    floats = ", ".join(dict.fromkeys(row["format"] for row in measured if row["float output"]))
    note = f" ({FLOAT_STEP:g} of the largest logit for {floats})" if floats else ""
    as_near = sum(
        row["lowered"]["within"] >= min(row[name]["within"] for name in ITSELF) for row in measured
    )
    agreements = [row["lowered"]["agreement"] for row in measured]
    least = f" The least agreement is {min(agreements):.4f}." if agreements else ""
    return (
        "## The same logits as ONNX Runtime\n\n"
        f"{make_table([tabulate_parity(row) for row in rows])}\n\n"
        "Agreement on the winning class · share of logits within one step · largest difference in "
        f"steps; a step is the scale of the output{note}, which the table gives as a share of the "
        "largest logit. `lowered` is the torch module that is trained, against ONNX Runtime. "
        "Beside it is ONNX Runtime against itself: `unoptimized` with graph optimizations "
        "switched off, `nudged` with every float that the model stores moved to the next one "
        "below or above.\n\n"
        "The remaining differences are roundings of floats that are summed in another order. One "
        "of them can move a value between two steps to the other step, and later layers pass this "
        f"on; with 16 bits, a step is as small as a rounding. In {as_near} of {len(measured)} "
        "models, the lowered module's share within a step is at least the lower of ONNX Runtime's "
        f"two shares against itself.{least}"
    )


def tabulate_parity(row: Row) -> Row:
    """Make a line of the parity table."""
    line: Row = {"network": row["network"], "format": row["format"]}
    if row["refused"]:
        return line | {"accuracy": row["refused"], "step": "-"} | dict.fromkeys(COMPARED, "-")
    line |= {"accuracy": row["accuracy"], "step": f"{row['step'] / row['largest logit']:.1e}"}
    for name in COMPARED:
        found = row[name]
        line[name] = " · ".join(
            (f"{found['agreement']:.4f}", f"{found['within']:.4f}", f"{found['largest']:.2f}")
        )
    return line

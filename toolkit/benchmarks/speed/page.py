"""The page: the table, how each part was measured, and why a limit was missed."""

from collections.abc import Sequence

from benchmarks.speed import throughput
from studies.tables import Row, make_table

_METHOD = f"""\
`ratio` is ours divided by the baseline's. Both alternate, in a new order every round, after one \
warm-up round; each ratio is the median over rounds (memory: from one run each). Limits are met or \
missed as measured here, on a machine shared with other work. The command below measured the parts \
that it names; other rows are of earlier runs, also on other machines.

**Throughput.** Images per second of the measuring stage, in this process; the row with loading \
includes opening the model and making the report. Baselines: a loop of ONNX Runtime alone over \
prepared images in memory, with its default options; the same in lanes (a thread for each core, \
each with its own batch); and, for JPEGs, Pillow alone on all cores. Batches of \
{throughput.BATCH}. For JPEGs, the limit applies to two stages: the faster loop and decoding, one \
after the other, each on all cores, which is what cores reach that never wait. Memory is the peak \
of the resident set (VmHWM) of the whole program.

**Start-up.** Whole processes, with compiled bytecode as after an installation. "import onnx" \
includes loading the same model.

**Cost.** One thread each. `unlearn` as a process, on random weights, compared with a process that \
imports torch, builds two ONNX Runtime sessions and takes the same steps on the original \
`nn.Module`. Memory: the peak of `unlearn` minus the memory after its imports, relative to the \
module's parameters plus the activations kept for the backward pass on the same batch. Imports \
include those of torch's first optimizer.

**Instead.** The whole command with its defaults, one thread each. DELETE neither masks nor \
verifies; it needs the network's code and weights, or a converter: onnx2pytorch, measured if it is \
installed (`pip install --no-deps onnx2pytorch`; torchvision is replaced by stubs). Retraining is \
the shipped model's recipe without the class, calculated from a part of an epoch."""

_REASONS = {
    "arrays": "the cores also read, resize and normalize the images, which the bare loop gets "
    "prepared; if there are few, ONNX Runtime waits for them.",
    "jpegs": "the program also reads the files, and checks, hashes and counts every image.",
    "startup": "`inspect` promises a method only if it works: it runs the model in ONNX Runtime, "
    "masks a class, and lowers the graph to torch, whose import is most of it, as the row with "
    "these imports shows.",
    "memory": "besides the trained module there are the original for comparison, Adam's two "
    "moments, the gradients, values to take a step back to, and the model file: seven times the "
    "weights. Where activations are larger than weights, the working memory of ONNX Runtime and "
    "torch shows.",
    "cost": "a step computes more than the baseline's: the original's answers, the gradient for "
    "adversarial augmentation, and the losses. Before and after training the model is "
    "evaluated, on at least as many images as one step takes: with so few steps, a large "
    "network's training does not outweigh that.",
}


def describe(rows: Sequence[Row]) -> str:
    """Return the page without its title."""
    table = make_table([{key: row[key] for key in row if key != "part"} for row in rows])
    missed = [row for row in rows if row["met"] == "NO"]
    met = sum(row["met"] == "yes" for row in rows)
    verdict = f"{met} of {met + len(missed)} limits are met."
    reasons = "\n".join(f"- {_explain(row)}" for row in missed)
    return "\n\n".join(filter(None, [verdict, table, reasons and f"Missed:\n\n{reasons}", _METHOD]))


def _explain(row: Row) -> str:
    kind = row["part"] if row["part"] in _REASONS else "cost"
    if "memory" in row["what"]:
        kind = "memory"
    return f"{row['what']}: {row['ratio']:.2f} where {row['limit']} is asked for: {_REASONS[kind]}"

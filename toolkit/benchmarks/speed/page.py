"""The page: the table, how each part was measured, and why a limit was missed."""

from collections.abc import Sequence

from benchmarks.speed import throughput
from studies.tables import Row, make_table

_METHOD = f"""\
Ours and its peer run in turn, in another order every round, after one round to warm up; each \
ratio is the median of the rounds' (memory: of one run each). A limit is met or missed as \
measured here, on a machine that other work shares.

**Throughput.** Images per second of the stage that measures, in this process; the row that \
counts loading has the model and the report as well. Peers: a loop of ONNX Runtime alone, with \
its default options, over prepared images in memory; and, for JPEGs, Pillow alone on all \
cores. Batches of {throughput.BATCH}; the slower peer bounds us. Where cores are few, decoding \
takes its time from ONNX Runtime: once all cores are busy, an overlap betters two loops, one \
after the other, by little. Memory is the peak of the resident set (VmHWM) of the whole program.

**Start-up.** Whole processes, with compiled bytecode as after an installation. "import onnx" \
includes loading the same model.

**Cost.** One thread each. `unlearn` as a process, on random weights, beside a process that \
imports torch, builds two ONNX Runtime sessions and takes the same steps on the original \
`nn.Module`. Memory: the peak of `unlearn` above what its imports hold, by the module's \
parameters plus what its forward pass keeps for the backward one on the same batch. Imports \
include those that torch makes when the first optimizer is built.

**Instead.** The whole command with its defaults, one thread each. DELETE masks nothing and \
verifies nothing; it needs the network's code and weights, or a converter: onnx2pytorch, which \
is measured where it is installed (`pip install --no-deps onnx2pytorch`; of torchvision it has \
stubs). Retraining is the shipped model's recipe without the class, reckoned from a part of an \
epoch."""

_REASONS = {
    "arrays": "the cores also read, resize and normalize the images, which the bare loop has "
    "ready; where they are few, ONNX Runtime waits for them.",
    "jpegs": "on cores that ONNX Runtime keeps busy, decoding costs what it costs: the row by two "
    "loops, one after the other, shows what there is to gain. More cores than ONNX Runtime can "
    "use, a GPU, or smaller JPEGs lift it; decoding at a smaller scale would too, but it changes "
    "figures (docs/decisions/0012).",
    "startup": "`inspect` reads the file as its peer does, and then trusts none of it: it imports "
    "what finds the head, walks every part, checks the graph, infers its shapes, looks for weights "
    "that are no numbers, hashes it, and does so in a child process.",
    "memory": "beside the module in training there are its original, which it is compared with, "
    "Adam's two moments, the gradients, and the model's file: five times the weights. Where "
    "activations weigh more than weights, ONNX Runtime's and torch's working memory shows.",
    "cost": "a step computes more than the peer's: the original's answers, the gradient that "
    "hardens samples, and the losses. Before and after training the model is judged, on as many "
    "images as a step takes or more: so few steps of a large network do not outweigh that.",
}


def describe(rows: Sequence[Row]) -> str:
    """The whole page but its title."""
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

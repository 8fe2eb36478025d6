"""Edited models in the runtimes that devices have: the class stays forgotten in each."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.places import Runtime
from studies.after_quantization import CHOSEN
from studies.formats import quantize
from studies.quantized_routes import edit_shipped
from studies.quantized_subjects import NETWORKS, Shipped, open_shipped
from studies.results import write_results
from studies.tables import Row, make_table, write_met

NAME = "runtimes"
LIMIT = 0.01  # Acc_F
_FORGET = 3
_FORMATS = ("float32", "float16", "qdq-int8", "qdq-per-channel", "qoperator-int8", "dynamic-int8")
_BATCH = 250
_REFERENCE = "ONNX Runtime"

Array = npt.NDArray[np.float32]
Compute = Callable[[ModelProto, Shipped, Array], Array]

# Reads the model, and images of a shape from a file; writes the scores.
_SCRIPT = """
const ort = require(process.argv[1]), fs = require("fs");
const [model, images, out, source, output] = process.argv.slice(2, 7);
const shape = process.argv.slice(7).map(Number);
(async () => {
  const bytes = fs.readFileSync(images);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const session = await ort.InferenceSession.create(
    process.argv[1].endsWith("web") ? fs.readFileSync(model) : model);
  const found = await session.run({[source]: new ort.Tensor("float32", floats, shape)}, [output]);
  fs.writeFileSync(out, Buffer.from(new Uint8Array(found[output].data.buffer)));
})().catch((error) => { console.error(String(error)); process.exit(1); });
"""


@click.command(NAME)
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)))
@click.option("--format", "formats", multiple=True, type=click.Choice(_FORMATS), default=_FORMATS)
def runtimes(networks: tuple[str, ...], formats: tuple[str, ...]) -> None:
    """Forget a class in the shipped float models, convert them, and compare what runtimes answer.
    Node's packages must be where `require` finds them.
    """
    rows = [
        row
        for network in networks or NETWORKS
        for chosen in formats
        for row in compare_runtimes(network, chosen)
    ]
    measured = [row for row in rows if row["met"]]
    kept = sum(row["met"] == "yes" for row in measured)
    body = (
        f"`unlearn MODEL --forget {_FORGET}` on the shipped float models, converted by ONNX "
        "Runtime's own tools, on the 2,000 shipped evaluation images. `agreement` is the share of "
        f"images that get the same class as in {_REFERENCE} with exact sums, which decides in the "
        "commands. Each runtime has its defaults: on processors with matrix units, OpenVINO "
        "computes in bfloat16."
        f"\n\n{make_table(rows)}\n\nAcc_F ≤ {LIMIT} in {kept} of {len(measured)} rows that ran."
    )
    write_results(NAME, "Edited models in other runtimes", body, rows)
    click.echo(body)


def compare_runtimes(network: str, chosen: str) -> Iterator[Row]:
    """Yield a row for each runtime; one that cannot run the model says why."""
    shipped = open_shipped(network)
    floats = edit_shipped(network, _FORGET).edited
    made = floats if chosen == "float32" else quantize(CHOSEN[chosen], floats, shipped.calibration)
    images, classes = shipped.evaluation.read(), shipped.evaluation.classes
    expected = RUNTIMES[_REFERENCE](made, shipped, images).argmax(1)
    for name, compute in RUNTIMES.items():
        key = {"network": network, "format": chosen, "runtime": name}
        try:
            answers = compute(made, shipped, images).argmax(1)
        except (NhleOnnxError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split()).replace("|", "/")[:120]
            yield {**key, "Acc_F": f"not run: {reason}", "Acc_R": "", "agreement": "", "met": ""}
            continue
        is_right, is_forgotten = answers == classes, classes == _FORGET
        acc_f = float(is_right[is_forgotten].mean())
        yield {
            **key,
            "Acc_F": acc_f,
            "Acc_R": float(is_right[~is_forgotten].mean()),
            "agreement": float((answers == expected).mean()),
            "met": write_met(met=acc_f <= LIMIT),
        }


def _use_python(runtime: Runtime, proto: ModelProto, shipped: Shipped, images: Array) -> Array:
    output, target = shipped.classifier.head.output, shipped.classifier.image_input
    return open_session(proto, "cpu", runtime=runtime).run(output, images, target, _BATCH)


def _use_node(package: str, proto: ModelProto, shipped: Shipped, images: Array) -> Array:
    node = shutil.which("node")
    if node is None:
        message = "Node is not installed"
        raise RuntimeError(message)
    source, output = shipped.classifier.image_input.name, shipped.classifier.head.output
    with tempfile.TemporaryDirectory() as name:
        model, given, out = (Path(name) / each for each in ("model.onnx", "images", "scores"))
        model.write_bytes(proto.SerializeToString())
        given.write_bytes(images.tobytes())
        files = [str(model), str(given), str(out), source, output, *map(str, images.shape)]
        done = subprocess.run(
            [node, "-e", _SCRIPT, package, *files], check=False, capture_output=True, timeout=300
        )
        if done.returncode:
            raise RuntimeError(_find_error(done.stderr.decode(errors="replace")))
        return np.frombuffer(out.read_bytes(), np.float32).reshape(len(images), -1)


def _find_error(text: str) -> str:
    """Find the line that names the error; Node shows the code first."""
    return next((line for line in text.splitlines() if "Error" in line), text)


RUNTIMES: dict[str, Compute] = {
    _REFERENCE: lambda *given: _use_python("onnxruntime", *given),
    "OpenVINO": lambda *given: _use_python("openvino", *given),
    "ONNX Runtime in Node": lambda *given: _use_node("onnxruntime-node", *given),
    "ONNX Runtime Web (WebAssembly)": lambda *given: _use_node("onnxruntime-web", *given),
}

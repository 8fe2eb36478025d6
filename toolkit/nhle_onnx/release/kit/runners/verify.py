"""Check on this device whether this kit's model has forgotten what it should have.

Needs only Python 3.8 or later with numpy and onnxruntime. Writes device-result.json. Exit codes: 0
every gate passed; 1 a gate failed; 2 usage; 3 the kit is damaged; 4 ONNX Runtime here cannot run
the model; 5 the provider is not available; 6 no gate failed, but there are too few images for a
verdict; 130 interrupted.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

CANNOT_RUN = 4
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some builds send it as soon as they are imported
try:
    import numpy as np
    import onnxruntime as ort
except ImportError as error:
    print(f"error: {error}: pip install numpy onnxruntime", file=sys.stderr)
    sys.exit(CANNOT_RUN)

KIT_JSON_SHA256 = "{{ kit_json_sha256 }}"
TRIAL = "{{ trial }}"  # a model of one product of 8-bit numbers
RESULT_SCHEMA = "nhle-onnx/device-result/v1"
CPU = "CPUExecutionProvider"
QUIET = 4
COLUMNS = ["total", "correct", "predicted"]
CHECKED = ["after.acc_f", "delta_acc_r"]
SATURATION = (
    "this processor clips sums of 8-bit products; a quantized model answers differently on others"
)
DAMAGED, NO_PROVIDER, NOT_JUDGED, INTERRUPTED = 3, 5, 6, 130


class Refusal(Exception):  # noqa: N818 - not a fault of this program
    """A reason to stop, and the exit code that says so."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


def main() -> int:
    """Check the kit, run it, write and show what was found."""
    parser = argparse.ArgumentParser(
        description="Runs this kit's images through its model, and checks what it still knows."
    )
    parser.add_argument("--out", type=Path, default=Path("device-result.json"), help="the result")
    parser.add_argument("--provider", default=CPU, help="of ONNX Runtime (default: %(default)s)")
    arguments = parser.parse_args()
    folder = Path(__file__).resolve().parent
    try:
        text = read_file(folder, "kit.json", KIT_JSON_SHA256)
        kit = json.loads(text)
        check_files(folder, kit)
        check_out(folder, arguments.out)
        session = open_session(read_source(folder, kit), arguments.provider)
        predictions, times_ms = run_images(session, read_images(folder, kit), kit)
        result = make_result(
            kit, text.decode("utf-8"), predictions, times_ms, session.get_providers()
        )
        write_result(arguments.out, result)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return refusal.code
    show(kit, result, arguments.out)
    return conclude(kit, result)[1]


def read_file(folder: Path, name: str, digest: str) -> bytes:
    """Read one file of the kit, if it is the one that the kit was made with."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise Refusal(f"{name} cannot be read: unpack the whole kit: {error}", DAMAGED) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise Refusal(f"{name} is not the file that this kit was made with", DAMAGED)
    return content


def check_files(folder: Path, kit: dict[str, Any]) -> None:
    """Refuse a kit whose model is not the one that it was made with."""
    model = kit["model"]
    read_file(folder, model["file"], model["sha256"])
    for place, digest in model["sidecars"].items():
        read_file(folder, f"model/{place}", digest)


def check_out(folder: Path, out: Path) -> None:
    """Refuse to write over a file of the kit, a device or a pipe. An earlier result may go."""
    if not out.exists():
        return
    kept = [path for path in folder.rglob("*") if path.name != "device-result.json"]
    if not out.is_file() or any(path.samefile(out) for path in kept):
        raise Refusal(f"{out} belongs to this kit, or is not a regular file", DAMAGED)


def read_images(folder: Path, kit: dict[str, Any]) -> Any:  # noqa: ANN401 - old numpy has no types
    """Read the images as the model's input, [N, ...]."""
    images = kit["images"]
    kind = np.dtype(images["dtype"]).newbyteorder("<")
    flat = np.frombuffer(read_file(folder, images["file"], images["sha256"]), kind)
    return flat.astype(images["dtype"]).reshape([-1, *images["shape"]])


def read_source(folder: Path, kit: dict[str, Any]) -> str | bytes:
    """Return the model's path; or its bytes and those that make boxes and scores outputs."""
    path = folder / kit["model"]["file"]
    appended = base64.b64decode((kit.get("objects") or {}).get("appended", ""))
    return path.read_bytes() + appended if appended else str(path)


def open_session(model: str | bytes, provider: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Open the model on the requested provider; never silently on another one."""
    if provider not in ort.get_available_providers():
        names = ", ".join(ort.get_available_providers())
        raise Refusal(f"no {provider} here; there are: {names}", NO_PROVIDER)
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    try:
        session = ort.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # its errors share no public base class
        raise Refusal(f"ONNX Runtime cannot load the model: {error}", CANNOT_RUN) from error
    if session.get_providers()[0] != provider:
        raise Refusal(f"{provider} was asked for, but does not start here", NO_PROVIDER)
    return session


def run_images(
    session: Any,  # noqa: ANN401
    images: Any,  # noqa: ANN401
    kit: dict[str, Any],
) -> tuple[list[int | None], list[float]]:
    """Answer each image separately, and return the answers and milliseconds."""
    answers: list[list[int | None]] = []
    times_ms = []
    objects = kit.get("objects")
    names = {kit["output"], *([objects["boxes"]["name"]] if objects else [])}
    try:
        for image in (images[0], *images):
            feed = {kit["images"]["input"]: np.stack([image] * kit["images"]["batch"])}
            start = time.perf_counter()
            outputs = session.run(list(names), feed)
            times_ms.append((time.perf_counter() - start) * 1000)
            rows = {
                name: np.asarray(output)[0].astype(np.float32)
                for name, output in zip(names, outputs)
            }
            answers.append(answer(kit, max(0, len(answers) - 1), rows))
    except Refusal:
        raise
    except Exception as error:  # its errors share no public base class
        raise Refusal(f"ONNX Runtime failed on the images: {error}", CANNOT_RUN) from error
    # the first run includes preparation
    return [each for given in answers[1:] for each in given], times_ms[1:]


def answer(kit: dict[str, Any], place: int, rows: dict[str, Any]) -> list[int | None]:
    """Answer an image with its class, or each object with its class if it is detected."""
    if kit.get("objects"):
        return find_objects(kit, place, rows)
    scores = rows[kit["output"]].ravel()
    require_finite(scores.max(), f"the best score of image {place}")
    return [int(scores.argmax())]


def find_objects(kit: dict[str, Any], place: int, rows: dict[str, Any]) -> list[int | None]:
    """Answer each object of an image: its class, if a box of that class overlaps it enough."""
    objects = kit["objects"]
    corners = read_corners(objects["boxes"], rows[objects["boxes"]["name"]])
    scores = read_scores(objects["scores"], rows[kit["output"]])
    require_finite(scores, f"a score of image {place}")
    seen = list_seen(objects, corners, scores, place)
    answers: list[int | None] = []
    for own, index, given in zip(objects["places"], kit["classes"], objects["corners"]):
        if own == place:
            found = corners[[row for row, each in seen if each == index]]
            is_found = (measure_overlaps(np.array(given), found) >= objects["least_overlap"]).any()
            answers.append(index if is_found else None)
    return answers


def read_corners(layout: dict[str, Any], tensor: Any) -> Any:  # noqa: ANN401
    """Return boxes [A, 4] as left, top, right and bottom."""
    rows = tensor.T if layout["axis"] == 1 else tensor
    first, second, third, fourth = (rows[:, place] for place in range(4))
    sides = [first, second, third, fourth]
    if layout["form"] == "centre":
        sides = [first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2]
    if layout["form"] == "corners-yx":
        sides = [second, first, fourth, third]
    return np.stack(sides, -1)


def read_scores(layout: dict[str, Any], tensor: Any) -> Any:  # noqa: ANN401
    """Return scores [A, K] between 0 and 1."""
    rows = tensor.T if layout["axis"] == 1 else tensor
    scores = rows[:, layout["columns"]]
    if layout["activation"] == "softmax":
        others = [] if layout["background"] is None else [layout["background"]]
        competing = rows[:, [*layout["columns"], *others]]
        best = competing.max(1, keepdims=True)
        return np.exp(scores - best) / np.exp(competing - best).sum(1, keepdims=True)
    if layout["activation"] == "sigmoid":
        with np.errstate(over="ignore"):
            scores = 1 / (1 + np.exp(-scores))
    objectness = layout["objectness"]
    return scores if objectness is None else scores * rows[:, [objectness]]


def list_seen(
    objects: dict[str, Any],
    corners: Any,  # noqa: ANN401
    scores: Any,  # noqa: ANN401
    place: int,
) -> list[tuple[int, int]]:
    """List the boxes that people would see, each by its row and class, best first."""
    kept = []
    for index in range(scores.shape[1]):
        rows = np.flatnonzero(scores[:, index] >= objects["least_score"])
        require_finite(corners[rows], f"a box of image {place}")
        chosen: list[int] = []
        for row in rows[np.argsort(-scores[rows, index], kind="stable")]:
            overlaps = measure_overlaps(corners[row], corners[chosen])
            if not (overlaps > objects["suppression"]).any():
                chosen.append(int(row))
        kept += [(row, index) for row in chosen]
    return sorted(kept, key=lambda each: -scores[each])[: objects["most"]]


def measure_overlaps(box: Any, others: Any) -> Any:  # noqa: ANN401
    """Return the intersection over union of a box and each of some others."""
    box, others = box.astype(np.float64), others.astype(np.float64).reshape(-1, 4)
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(1)
    areas = [(each[..., 2:] - each[..., :2]).clip(0).prod(-1) for each in (box, others)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def require_finite(numbers: Any, what: str) -> None:  # noqa: ANN401
    """Refuse numbers that answer nothing: a missing answer would count as forgotten."""
    if not np.isfinite(numbers).all():
        raise Refusal(f"{what} is not finite here", CANNOT_RUN)


def make_result(
    kit: dict[str, Any],
    text: str,
    predictions: list[int | None],
    times_ms: list[float],
    providers: list[str],
) -> dict[str, Any]:
    """Make the content of device-result.json."""
    answers = list(zip(kit["classes"], kit["expected"], predictions))
    after = measure(kit, predictions)
    delta = subtract(after["acc_r"], (kit["host"]["before"] or {}).get("acc_r"))
    agreement = share([given == expected for _, expected, given in answers])
    p50, p90, p99 = (round(float(value), 4) for value in np.percentile(times_ms, [50, 90, 99]))
    checks = judge(kit, after["acc_f"], delta, agreement)
    return {
        "schema": RESULT_SCHEMA,
        "runner": "verify.py",
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "model_sha256": kit["model"]["sha256"],
        "runtime": {
            "name": "onnxruntime",
            "version": ort.__version__,
            "providers": providers,
            "saturates": saturates(),
        },
        "device": describe_device(),
        "samples": len(times_ms),
        "latency_ms": {"p50": p50, "p90": p90, "p99": p99},
        "agreement": agreement,
        "after": after,
        "delta_acc_r": delta,
        "per_class": [
            {
                "label": label,
                "total": kit["classes"].count(index),
                "correct": answers_right(answers, index),
                "predicted": predictions.count(index),
            }
            for index, label in enumerate(kit["labels"])
        ],
        "verdict": {"passed": all(check["passed"] for check in checks), "checks": checks},
        "predictions": predictions,
        "kit": {"sha256": hashlib.sha256(text.encode()).hexdigest(), "document": text},
    }


def saturates() -> bool:
    """Whether this processor clips sums of uint8 times int8, as x86 without VNNI does."""
    session = ort.InferenceSession(base64.b64decode(TRIAL), providers=[CPU])
    left, right = np.full((1, 64), 255, np.uint8), np.full((64, 1), 127, np.int8)
    (total,) = session.run(None, {"left": left, "right": right})
    return int(total.item()) != 255 * 127 * 64


def measure(kit: dict[str, Any], predictions: list[int | None]) -> dict[str, Any]:
    """Measure accuracies over forgotten classes, over retained classes, and of each class."""
    hits = [(cls, cls == given) for cls, given in zip(kit["classes"], predictions)]
    return {
        "acc_f": share([hit for cls, hit in hits if cls in kit["forget"]]),
        "acc_r": share([hit for cls, hit in hits if cls not in kit["forget"]]),
        "per_class": [
            share([hit for cls, hit in hits if cls == index]) for index in range(len(kit["labels"]))
        ],
    }


def answers_right(answers: list[tuple[int, int | None, int | None]], index: int) -> int:
    """Count the images or objects of a class that were answered with it."""
    return sum(cls == index == given for cls, _, given in answers)


def judge(
    kit: dict[str, Any], acc_f: float | None, delta: float | None, agreement: float | None
) -> list[dict[str, Any]]:
    """Check each measured figure against its limit."""
    limits = kit["limits"]
    names = ["after.detected", "delta_detected_r"] if kit.get("objects") else CHECKED
    gates = (
        (names[0], acc_f, limits["max_acc_f"], "lower"),
        (names[1], delta, -limits["max_acc_r_drop"], "higher"),
        ("agreement", agreement, limits["min_agreement"], "higher"),
    )
    return [
        {
            "name": name,
            "value": value,
            "limit": limit,
            "better": better,
            "passed": value <= limit if better == "lower" else value >= limit,
        }
        for name, value, limit, better in gates
        if value is not None
    ]


def share(hits: list[bool]) -> float | None:
    """Return the share of true values; None if there are none."""
    return sum(hits) / len(hits) if hits else None


def subtract(after: float | None, before: float | None) -> float | None:
    """Return a difference, if both were measured."""
    return None if after is None or before is None else after - before


def describe_device() -> dict[str, Any]:
    """Describe this machine, without its network name."""
    return {
        "name": find_name() or platform.processor() or platform.machine(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count() or 1,
    }


def find_name() -> str:
    """Find the name of the board or the processor, on Linux."""
    try:
        return Path("/proc/device-tree/model").read_text("utf-8").strip("\0\n ")
    except (OSError, ValueError):
        pass
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write the result whole or not at all, replacing an earlier one."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
        os.replace(part, path)  # noqa: PTH105 - works in every Python version
    except OSError as error:
        raise Refusal(f"{path} cannot be written: {error.strerror}", DAMAGED) from error


def show(kit: dict[str, Any], result: dict[str, Any], out: Path) -> None:
    """Print a summary for people."""
    runtime, latency = result["runtime"], result["latency_ms"]
    print(f"runtime  {runtime['name']} {runtime['version']}, {', '.join(runtime['providers'])}")
    print(f"device   {printable(result['device']['name'])}")
    if runtime["saturates"]:
        print(f"kernels  {SATURATION}")
    print("latency  p50 {p50} ms, p90 {p90} ms, p99 {p99} ms\n".format(**latency))
    columns = ["objects", "detected", "by host"] if kit.get("objects") else COLUMNS
    print("{:<28}{:>7}{:>9}{:>11}".format("class", *columns))
    for index, row in enumerate(result["per_class"]):
        mark = " (forgotten)" if index in kit["forget"] else ""
        name = f"{index} {printable(row['label'])}"[: 27 - len(mark)] + mark
        last = kit["expected"].count(index) if kit.get("objects") else row["predicted"]
        print(f"{name:<28}{row['total']:>7}{row['correct']:>9}{last:>11}")
    print(f"\n{'check':<28}{'value':>9}{'limit':>11}")
    for check in result["verdict"]["checks"]:
        limit = f"{'<=' if check['better'] == 'lower' else '>='} {check['limit']:.4f}"
        word = "passed" if check["passed"] else "FAILED"
        print(f"{check['name']:<28}{check['value']:>9.4f}{limit:>11}  {word}")
    print(f"\nresult   {out}")
    word, code = conclude(kit, result)
    for gap in kit.get("gaps", []) if code == NOT_JUDGED else []:
        print(f"not judged: {printable(gap)}")
    print(word)


def conclude(kit: dict[str, Any], result: dict[str, Any]) -> tuple[str, int]:
    """The last word and the exit code: limits that were kept on too few images show nothing."""
    if not result["verdict"]["passed"]:
        return "FAILED", 1
    return ("NOT JUDGED", NOT_JUDGED) if kit.get("gaps") else ("PASSED", 0)


def printable(text: str) -> str:
    """Remove control characters, and characters that the terminal cannot encode."""
    encoding = sys.stdout.encoding or "ascii"
    plain = "".join(mark if mark.isprintable() else "?" for mark in text)
    return plain.encode(encoding, "replace").decode(encoding)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        sys.exit(INTERRUPTED)

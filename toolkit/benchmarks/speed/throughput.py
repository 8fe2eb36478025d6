"""`verify` compared with a bare loop over tensors in memory, and with decoding alone."""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image

from benchmarks.speed.rows import make_row, measure_in_turn, measure_peak, take_median_ratio
from nhle_onnx.values.cores import count_cores
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.workflows.classifier import make_request, open_classifier
from nhle_onnx.workflows.evaluation import read_evaluation
from nhle_onnx.workflows.observer import Silence
from nhle_onnx.workflows.verify import verify_model
from studies.tables import Row

BATCH = 64
LIMIT = 0.95
GROWTH_LIMIT = 1.1
_IN_MEMORY = 512  # prepared images that the bare loop uses again and again

Array = npt.NDArray[np.float32]


def measure_throughput(what: str, model: Path, data: Path, rounds: int) -> list[Row]:
    """Measure images per second in the measuring stage, and in the whole call of `verify`."""
    classifier = open_classifier(model, ModelFlags())
    evaluation = read_evaluation(data, classifier, make_request(classifier, ("3",)))
    count = len(evaluation.indices)
    images = evaluation.read(range(min(count, _IN_MEMORY)))
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = classifier.image_input.name
    elapsed_s: list[float] = []

    def run_bare() -> float:
        start = time.perf_counter()
        for first in range(0, count, BATCH):
            place = first % len(images)
            session.run([classifier.head.output], {name: images[place : place + BATCH]})
        return count / (time.perf_counter() - start)

    def run_verify() -> float:
        settings = VerifySettings(
            model=model, forget=("3",), data=data, flags=ModelFlags(), batch_size=BATCH
        )
        start = time.perf_counter()
        report = verify_model(settings, Silence())
        elapsed_s.append(time.perf_counter() - start)
        return count / report.elapsed_s["measure"]

    measures = {"ours": run_verify, "bare": run_bare}
    files = getattr(evaluation.samples, "files", None)
    if files:
        measures["decoding"] = _make_decoder(files, classifier.image_input.sample_shape[1:])
    found = measure_in_turn(measures, rounds)
    whole = statistics.median(count / seconds for seconds in elapsed_s[1:])
    bound = "decoding" if files and _is_slower(found["decoding"], found["bare"]) else "bare"
    rows = [_compare(what, f"{bound} loop", found["ours"], found[bound], LIMIT)]
    if files:
        other = "bare" if bound == "decoding" else "decoding"
        rows.append(_compare(what, f"{other} loop", found["ours"], found[other], None))
    if files:
        shared = [
            1 / (1 / one + 1 / two)
            for one, two in zip(found["bare"], found["decoding"], strict=True)
        ]
        rows.append(_compare(what, "two loops, one after the other", found["ours"], shared, None))
    both = statistics.median(found["bare"])
    rows.append(
        make_row(
            f"{what}, with loading the model, by the bare loop", whole, both, "images/s",
            whole / both, None, "higher",
        )
    )  # fmt: skip
    return rows


def measure_growth(what: str, model: Path, few: Path, many: Path) -> Row:
    """Return peak memory over many images divided by that over few, each in its own process."""
    flags = ("--forget", "3", "--batch-size", str(BATCH), "--quiet", "--data")
    large, small = (measure_peak(["verify", model, *flags, data]) for data in (many, few))
    return make_row(what, large, small, "MiB", large / small, GROWTH_LIMIT)


def _make_decoder(files: Sequence[Path], size: tuple[int, ...]) -> Callable[[], float]:
    """Make a decoder with Pillow alone, one thread for each core: decode, resize, convert to
    floats.
    """

    def decode(file: Path) -> float:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB").resize((size[1], size[0])), np.float32)
        pixels = (pixels / np.float32(255) - np.float32(0.286)) / np.float32(0.353)
        return float(np.ascontiguousarray(pixels.transpose(2, 0, 1))[0, 0, 0])

    def run() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(count_cores()) as pool:
            for _ in pool.map(decode, files, chunksize=16):
                pass
        return len(files) / (time.perf_counter() - start)

    return run


def _is_slower(one: list[float], other: list[float]) -> bool:
    return statistics.median(one) < statistics.median(other)


def _compare(
    what: str, peer: str, ours: list[float], theirs: list[float], limit: float | None
) -> Row:
    return make_row(
        f"{what}, by the {peer}", statistics.median(ours), statistics.median(theirs), "images/s",
        take_median_ratio(ours, theirs), limit, "higher",
    )  # fmt: skip

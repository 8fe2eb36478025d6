"""`verify` compared with bare loops over tensors in memory, and with decoding alone."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image

from benchmarks.speed.rows import make_row, measure_in_turn, measure_peak, take_median_ratio
from nhle_onnx.values.cores import count_cores
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.workflows.classifier import Classifier, open_classifier
from nhle_onnx.workflows.evaluation import read_evaluation
from nhle_onnx.workflows.observer import Silence
from nhle_onnx.workflows.verify import verify_model
from studies.tables import Row

BATCH = 64
LIMIT, SHARED_LIMIT = 0.95, 0.98
GROWTH_LIMIT = 1.1
_IN_MEMORY = 512  # prepared images that the bare loop uses again and again

Array = npt.NDArray[np.float32]


def measure_throughput(what: str, model: Path, data: Path, rounds: int) -> list[Row]:
    """Measure images per second in the measuring stage, and in the whole call of `verify`."""
    classifier = open_classifier(model, ModelFlags())
    evaluation = read_evaluation(data, classifier)
    count = len(evaluation.indices)
    images = evaluation.read(range(min(count, _IN_MEMORY)))
    elapsed_s: list[float] = []
    measures: dict[str, Callable[[], float]] = {
        "ours": partial(_run_verify, model, data, count, elapsed_s),
        "bare": _make_bare_loop(classifier, images, count),
        "lanes": _make_bare_loop(classifier, images, count, count_cores()),
    }
    files = getattr(evaluation.samples, "files", None)
    if files:
        measures["decoding"] = _make_decoder(files, classifier.image_input.sample_shape[1:])
    found = measure_in_turn(measures, rounds)
    whole = statistics.median(count / seconds for seconds in elapsed_s[1:])
    bare = statistics.median(found["bare"])
    with_loading = make_row(
        f"{what}, with loading the model, relative to the bare loop", whole, bare, "images/s",
        whole / bare, None, "higher",
    )  # fmt: skip
    return [*_compare_loops(what, found), with_loading]


def measure_growth(what: str, model: Path, few: Path, many: Path) -> Row:
    """Return peak memory over many images divided by that over few, each in its own process."""
    flags = ("--forget", "3", "--batch-size", str(BATCH), "--quiet", "--data")
    large, small = (measure_peak(["verify", model, *flags, data]) for data in (many, few))
    return make_row(what, large, small, "MiB", large / small, GROWTH_LIMIT)


def _run_verify(model: Path, data: Path, count: int, elapsed_s: list[float]) -> float:
    """Return images per second of the measuring stage; add the call's seconds to `elapsed_s`."""
    settings = VerifySettings(
        model=model, forget=("3",), data=data, flags=ModelFlags(), batch_size=BATCH
    )
    start = time.perf_counter()
    report = verify_model(settings, Silence())
    elapsed_s.append(time.perf_counter() - start)
    return count / report.elapsed_s["measure"]


def _make_bare_loop(
    classifier: Classifier, images: Array, count: int, lanes: int = 1
) -> Callable[[], float]:
    """Make a loop of ONNX Runtime alone that uses prepared images again and again: with its
    defaults, or in several lanes of one thread each.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1 if lanes > 1 else 0
    session = ort.InferenceSession(
        classifier.model.path, options, providers=["CPUExecutionProvider"]
    )
    name = classifier.image_input.name

    def answer(first: int) -> None:
        place = first % len(images)
        session.run([classifier.head.output], {name: images[place : place + BATCH]})

    def run() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(lanes) as pool:
            deque(pool.map(answer, range(0, count, BATCH)), maxlen=0)
        return count / (time.perf_counter() - start)

    return run


def _make_decoder(files: Sequence[Path], size: tuple[int, ...]) -> Callable[[], float]:
    """Make a loop of Pillow alone, a thread for each core: decode, resize, convert to floats."""

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


def _compare_loops(what: str, found: Mapping[str, list[float]]) -> Iterator[Row]:
    """Compare ours with each loop. With files, the limit applies to two stages, inference and
    decoding, one after the other, each on all cores: what cores reach that never wait.
    """
    ours, limit = found["ours"], None if "decoding" in found else LIMIT
    yield _compare(what, "bare loop", ours, found["bare"], limit)
    yield _compare(what, "bare loop in lanes of one thread", ours, found["lanes"], None)
    if "decoding" in found:
        yield _compare(what, "decoding loop", ours, found["decoding"], None)
        rounds = zip(found["bare"], found["lanes"], found["decoding"], strict=True)
        shared = [1 / (1 / max(bare, lanes) + 1 / decoding) for bare, lanes, decoding in rounds]
        yield _compare(what, "two stages, each on all cores", ours, shared, SHARED_LIMIT)


def _compare(
    what: str, baseline: str, ours: list[float], theirs: list[float], limit: float | None
) -> Row:
    return make_row(
        f"{what}, relative to the {baseline}",
        statistics.median(ours), statistics.median(theirs), "images/s",
        take_median_ratio(ours, theirs), limit, "higher",
    )  # fmt: skip

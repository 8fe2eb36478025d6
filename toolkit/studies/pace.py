"""How fast models run compared with each other, on one thread."""

import random
import time
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import ModelProto

SESSIONS, TIMED_RUNS, WARM_UP_RUNS = 5, 60, 10  # runs of each session, and sessions of each model
FATAL = 4

Array = npt.NDArray[np.float32]


def open_one_thread(proto: ModelProto, *, optimizes: bool = True) -> Any:  # noqa: ANN401 - untyped
    """Open an ONNX Runtime session on the CPU with one thread."""
    options = ort.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = 1
    if not optimizes:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = proto.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare_pace(given: ModelProto, edited: ModelProto, image: Array) -> dict[str, float]:
    """Return the latencies of the edited model and of the given one again, relative to the given
    one's. Each is the median ratio of adjacent runs, which other work disturbs least.
    """
    times = time_in_turn((given, edited, given), image)
    itself, changed, again = times
    return {
        "ms": float(np.median(itself)),
        "latency": float(np.median(changed / itself)),
        "given again": float(np.median(again / itself)),
    }


def time_in_turn(models: Sequence[ModelProto], image: Array) -> npt.NDArray[np.float64]:
    """Return each model's milliseconds on one image, round by round, in a new order every round.

    Two sessions of one file differ by some percent, depending on where their memory lies. So each
    model has several, opened in a new order every time.
    """
    shuffle = random.Random(0).shuffle  # noqa: S311 - an order, no secret
    order = list(range(len(models)))
    sets: list[dict[int, Any]] = []
    for _ in range(SESSIONS):
        shuffle(order)
        sets.append({which: open_one_thread(models[which]) for which in order})
    feed = {sets[0][0].get_inputs()[0].name: image}
    rounds = list(product(range(WARM_UP_RUNS + TIMED_RUNS), sets))
    times = np.empty((len(models), len(rounds)))
    for index, (_, sessions) in enumerate(rounds):
        shuffle(order)
        for which in order:
            start = time.perf_counter()
            sessions[which].run(None, feed)
            times[which, index] = 1000 * (time.perf_counter() - start)
    timed: npt.NDArray[np.float64] = times[:, WARM_UP_RUNS * SESSIONS :]
    return timed

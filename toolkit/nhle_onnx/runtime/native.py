"""Opening an ONNX Runtime session: the only place that sets its options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from nhle_onnx.values.cores import read_thread_limit

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_FATAL = 4
_ENTRIES = {"session.intra_op.allow_spinning": "0"}  # idle threads leave the cores to others


def open_native(
    source: str | bytes,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = (CPU,),
    entries: Mapping[str, str] | None = None,
    optimized: Path | None = None,
    threads: int | None = None,
) -> ort.InferenceSession:
    """Open a session of a model, given as a path or as bytes.

    `entries` is the session's configuration; `optimized` is the file to which ONNX Runtime writes
    the graph that it actually runs. `threads` compute a batch: by default all that may. Raises
    ONNX Runtime's errors, which share no public base class.
    """
    # otherwise a missing CUDA library, or a wrongly declared shape, fills the terminal
    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads or read_thread_limit() or 0  # 0: one for each core
    if optimized:
        options.optimized_model_filepath = str(optimized)
    for key, value in (_ENTRIES | {**(entries or {})}).items():
        options.add_session_config_entry(key, value)
    # otherwise it falls back to the CPU where CUDA fails, now or in a run, and prints that
    return ort.InferenceSession(source, options, providers=list(providers), enable_fallback=False)

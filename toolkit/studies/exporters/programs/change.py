"""An exported file, changed by the tools that people use."""

from functools import partial
from pathlib import Path

import onnx
import onnxruntime as ort
import onnxsim
import onnxslim
from onnxconverter_common.float16 import convert_float_to_float16
from shared import Writers, make_files


def list_writers(_: str, given: Path) -> Writers:
    """List each tool with its defaults, and ONNX Runtime's optimizer at each level."""
    proto = onnx.load(given)
    levels = ort.GraphOptimizationLevel
    return {
        "onnxsim": lambda path: onnx.save(onnxsim.simplify(_copy(proto))[0], path),
        "onnxslim": lambda path: onnx.save(onnxslim.slim(_copy(proto)), path),
        "float16": lambda path: onnx.save(convert_float_to_float16(_copy(proto)), path),
        "ort-basic": partial(_optimize, given, levels.ORT_ENABLE_BASIC),
        "ort-extended": partial(_optimize, given, levels.ORT_ENABLE_EXTENDED),
        "ort-all": partial(_optimize, given, levels.ORT_ENABLE_ALL),
    }


def _copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(proto)
    return copied


def _optimize(given: Path, level: ort.GraphOptimizationLevel, path: Path) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    make_files(list_writers)

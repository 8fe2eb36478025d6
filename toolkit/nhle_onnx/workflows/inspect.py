"""inspect: describes a model, and what can be done with it. Never imports torch."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from onnx import TensorProto, ValueInfoProto

from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.weights import (
    list_not_finite,
    list_unsupported,
    list_unsupported_tensors,
    list_weights,
)
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.summary import InspectReport
from nhle_onnx.workflows.classifier import TOOL, summarize_file

Found = TypeVar("Found")


def inspect_model(path: Path, flags: ModelFlags) -> InspectReport:
    """Describe a model. A part that `unlearn` cannot handle becomes a reason, not an error.

    Raises InputRefusedError or UnsupportedModelError only where the file itself cannot be read.
    """
    model = load_model(path, max_elements=flags.max_elements)
    reasons: list[str] = []
    head = _attempt(lambda: find_head(model, output=flags.output), reasons)
    image = _attempt(lambda: read_image_input(model, layout=flags.layout), reasons)
    labels = preprocess = None
    if head:
        labels = _attempt(lambda: find_labels(model, head.num_classes, flags.labels), reasons)
    if image:
        preprocess = _attempt(lambda: find_preprocess(model, image, flags.preprocess), reasons)
    last = head.scores if head else model.proto.graph.output[0].name
    unsupported = _list_operators(model, last)
    if unsupported:
        reasons.append(f"operators that cannot be trained: {', '.join(unsupported)}")
    unsupported_tensors = [*list_unsupported_tensors(model.proto)]
    reasons += [
        f"the tensor {name} is {kind}, which cannot be trained"
        for name, kind in unsupported_tensors
    ]
    poisoned = list_not_finite(model, head) if head else ()
    reasons += [f"the weight {name} holds NaN or an infinity" for name in poisoned]
    names = list_weights(model.proto, model.opset, last)
    return InspectReport(
        tool=TOOL,
        model=summarize_file(model),
        opset=model.opset,
        ir_version=model.proto.ir_version,
        format=Head(model.proto, head).element_type.name if head else None,
        inputs=_describe(model.proto.graph.input, model),
        outputs=_describe(model.proto.graph.output, model),
        head=head,
        labels=labels,
        trainable_tensors=len(names),
        trainable_parameters=_count(model, names),
        unsupported_operators=unsupported,
        preprocess=preprocess,
        unlearn=_decide(
            None if poisoned else head,
            image,
            preprocess,
            is_lowerable=not (unsupported or unsupported_tensors),
        ),
        reasons=tuple(reasons),
    )


def _attempt(find: Callable[[], Found], reasons: list[str]) -> Found | None:
    try:
        return find()
    except NhleOnnxError as error:
        reasons.append(error.reason)
        return None


def _list_operators(model: OnnxModel, output: str) -> tuple[str, ...]:
    unsupported = list_unsupported(model.proto, model.opset, output)
    return tuple(sorted({f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in unsupported}))


def _describe(values: Iterable[ValueInfoProto], model: OnnxModel) -> dict[str, str]:
    """Describe type and shape of each value, except weights: `float32 [batch, 3, 32, 32]`."""
    weights = {tensor.name for tensor in model.proto.graph.initializer}
    described = {}
    for value in values:
        if value.name not in weights:
            tensor = value.type.tensor_type
            extents = [str(axis.dim_param or axis.dim_value or "?") for axis in tensor.shape.dim]
            kind = TensorProto.DataType.Name(tensor.elem_type).lower()
            described[value.name] = f"{kind} [{', '.join(extents)}]"
    return described


def _count(model: OnnxModel, names: tuple[str, ...]) -> int:
    tensors = GraphIndex(model.proto).tensors
    return sum(math.prod(tensors[name].dims) for name in names)


def _decide(
    head: ClassifierHead | None,
    image: ImageInput | None,
    preprocess: Preprocess | None,
    *,
    is_lowerable: bool,
) -> dict[str, bool]:
    """Decide which methods can run; `images` says whether image files can be used directly."""
    is_classifier = head is not None and image is not None
    return {
        "nhle-cwm": is_classifier and is_lowerable,
        "nhle": is_classifier and is_lowerable,
        "cwm": head is not None,
        "images": preprocess is not None,
    }

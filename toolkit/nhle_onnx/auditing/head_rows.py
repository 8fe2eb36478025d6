"""A head as one row of weights a class, whatever operator it is stored for."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, helper

from nhle_onnx.graph.head_values import read_head, write_head
from nhle_onnx.values.model import ClassifierHead


class HeadRows(NamedTuple):
    """Weight [K, D] and bias [K]; what the operator multiplies either by is in them."""

    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]


def read_rows(proto: ModelProto, head: ClassifierHead) -> HeadRows:
    """The rows of a model's head."""
    weight, bias = read_head(proto, head)
    rows = np.moveaxis(weight.astype(np.float64), head.class_axis, 0)
    return HeadRows(
        rows.reshape(head.num_classes, head.feature_dim) * _read_alpha(proto, head),
        bias.astype(np.float64) * head.bias_scale,
    )


def with_rows(proto: ModelProto, head: ClassifierHead, rows: HeadRows) -> ModelProto:
    """A copy of the model with these rows, in its own number format."""
    changed = ModelProto()
    changed.CopyFrom(proto)
    weight, bias = read_head(proto, head)
    moved_shape = np.moveaxis(weight, head.class_axis, 0).shape
    own = rows.weight / _read_alpha(proto, head)
    stored = np.moveaxis(own.reshape(moved_shape), 0, head.class_axis)
    scale = head.bias_scale or 1.0
    write_head(changed, head, stored.astype(weight.dtype), (rows.bias / scale).astype(bias.dtype))
    return changed


def _read_alpha(proto: ModelProto, head: ClassifierHead) -> float:
    """What a Gemm multiplies its weight by."""
    for node in proto.graph.node:
        if node.op_type == "Gemm" and node.name == head.node and head.features in node.input:
            found = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            return float(found.get("alpha", 1.0))
    return 1.0

"""A network of the same graph that never learned anything: what ZRF compares with."""

import numpy as np
from onnx import ModelProto

from nhle_onnx.audit.head_rows import HeadRows, read_rows, with_rows
from nhle_onnx.graph.tensors import is_float, list_tensors, read_tensors, replace_tensors
from nhle_onnx.values.model import ClassifierHead


def reset_weights(proto: ModelProto, head: ClassifierHead, seed: int) -> ModelProto:
    """A copy with every matrix and kernel drawn anew (He et al., 2015); biases and normalisation
    stay, save the head's bias, which is 0.
    """
    rng = np.random.default_rng(seed)
    fresh = ModelProto()
    fresh.CopyFrom(proto)
    names = tuple(
        name for name, tensor in list_tensors(proto) if is_float(tensor) and len(tensor.dims) > 1
    )
    values = read_tensors(proto, names)
    replace_tensors(
        fresh,
        {
            name: rng.normal(0, np.sqrt(2 / max(1, value[0].size)), value.shape).astype(value.dtype)
            for name, value in values.items()
        },
    )
    return with_rows(
        fresh, head, HeadRows(read_rows(fresh, head).weight, np.zeros(head.num_classes))
    )

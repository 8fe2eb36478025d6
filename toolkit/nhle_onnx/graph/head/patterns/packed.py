"""MatMulNBits, whose weight is packed into bytes, with a row for each class."""

from dataclasses import replace

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import Layer, Stored, pick, resolve
from nhle_onnx.graph.packed import PACKED_BITS
from nhle_onnx.values.model import QuantParams

_BIAS = 5
_INDICES = 4


def read_packed(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read a MatMulNBits, or return why it is not a head."""
    given = pick(node.inputs, _BIAS + 1)
    weight, own_bias = resolve(given[1]), resolve(given[_BIAS])
    bits = int(node.attrs.get("bits", 4))
    if weight is None or given[2] is None or bits not in PACKED_BITS:
        return "has no constant weight with scales"
    if given[_INDICES] is not None or (added_bias and own_bias):
        return "has its features in another order, or two biases"
    rows, width = (int(node.attrs.get(name, 0)) for name in ("N", "K"))
    if weight.shape[:1] != (rows,) or width < 1:
        return "states another size than its weight has"
    params = QuantParams(
        scales=(given[2].name,),
        zero_point=None if given[3] is None else given[3].name,
        axis=1,
        block_size=int(node.attrs.get("block_size", 0)),
        packed_bits=bits,
        packed_width=width,
    )
    return Layer(
        features=node.inputs[0],
        weight=replace(weight, shape=(rows, width), params=params),
        bias=added_bias or own_bias,
        class_axis=0,
    )

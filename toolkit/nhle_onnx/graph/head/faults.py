"""Tensors that no kernel can compute with, in a layer that otherwise looks like a head."""

from onnx import TensorProto

from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import fits_quant_params, fits_scales, has_range
from nhle_onnx.values.model import ClassifierHead, QuantParams


def find_tensor_fault(index: GraphIndex, head: ClassifierHead) -> str | None:
    """Describe what is wrong with a head's weight, bias or scores, as the end of a sentence."""
    fault = _find_fault(index, head.weight, head.weight_quant_params, needs_positive=False)
    if fault is None and head.weight_rounding is not None:
        fault = _find_missing(index, head.weight, head.weight_rounding)
        if fault is None and not fits_scales(index, head.weight, head.weight_rounding):
            return f"reads {head.weight}, whose scale or zero point does not fit it"
    if fault is None and head.bias is not None:  # its lowest integer must be its lowest value
        fault = _find_fault(index, head.bias, head.bias_quant_params, needs_positive=True)
    if fault is not None:
        return fault
    for params in head.score_quant_params:
        if not has_range(index, params):
            names = " and ".join(filter(None, [*params.scales, params.zero_point]))
            return f"rounds its scores by {names}, which are not a constant scale and zero point"
    return None


def _find_fault(
    index: GraphIndex, name: str, params: QuantParams | None, *, needs_positive: bool
) -> str | None:
    if fault := _find_missing(index, name, params):
        return fault
    kind = index.tensors[name].data_type
    if params is None and not get_element_type(kind).is_real:
        return f"reads {name}, which holds {TensorProto.DataType.Name(kind)} without a scale"
    if params is not None and not fits_quant_params(
        index, name, params, needs_positive=needs_positive
    ):
        return f"reads {name}, whose scale or zero point does not fit it"
    return None


def _find_missing(index: GraphIndex, name: str, params: QuantParams | None) -> str | None:
    spread = () if params is None else (*params.scales, *filter(None, [params.zero_point]))
    missing = [each for each in (name, *spread) if each not in index.tensors]
    return f"reads {missing[0]}, which is sparse or not constant" if missing else None

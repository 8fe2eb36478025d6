"""Operators outside ONNX's own sets, which its checker passes without a look."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import onnx
from onnx import AttributeProto, ModelProto, NodeProto

from nhle_onnx.graph.traversal import walk_messages

_Key = tuple[str, str]


class Declaration(NamedTuple):
    """How many inputs an operator takes, the types of its attributes, and which it needs."""

    least: int
    most: int
    attributes: Mapping[str, int]
    required: frozenset[str]


def list_operator_faults(model: ModelProto) -> Iterator[str]:
    """Yield which nodes do not fit their operator, as ONNX Runtime declares it; where it does not
    know the operator, as ONNX declares the one of that name, for which it would be taken.
    """
    local = {(function.domain, function.name) for function in model.functions}
    foreign = [
        message
        for message, _ in walk_messages(model)
        if isinstance(message, NodeProto)
        and (message.domain, message.op_type) not in local
        and not onnx.defs.has(message.op_type, message.domain)
    ]
    declared = read_declarations() if foreign else {}
    for node in foreign:
        key = (node.domain, node.op_type)
        found = declared.get(key) or _find_namesake(node.op_type, model)
        if found is not None:
            yield from _compare(node, found)


def read_declarations() -> dict[_Key, Declaration]:
    """Return what ONNX Runtime declares of each operator that it knows, by domain and name."""
    # slow to import, and few models have such a node
    from onnxruntime.capi import onnxruntime_pybind11_state as native  # noqa: PLC0415

    schemas = sorted(native.get_all_operator_schema(), key=lambda schema: schema.since_version)
    return {(schema.domain, schema.name): _read(schema) for schema in schemas}


def _find_namesake(name: str, model: ModelProto) -> Declaration | None:
    """Return what ONNX declares of its own operator of a name; None if it has none."""
    if not onnx.defs.has(name):
        return None
    version = max((each.version for each in model.opset_import if not each.domain), default=1)
    try:
        schema = onnx.defs.get_schema(name, version, "")
    except onnx.defs.SchemaError:  # not yet in that version
        schema = onnx.defs.get_schema(name)
    return _read(schema)


def _read(schema: Any) -> Declaration:  # noqa: ANN401 - of either library, alike
    attributes = schema.attributes
    return Declaration(
        schema.min_input,
        schema.max_input,
        {name: attribute.type.value for name, attribute in attributes.items()},
        frozenset(name for name, attribute in attributes.items() if attribute.required),
    )


def _compare(node: NodeProto, declared: Declaration) -> Iterator[str]:
    what = f"has a {node.op_type} ({node.name or ', '.join(node.output)})"
    count = len(node.input)
    if not declared.least <= count <= declared.most:
        limit = f"at least {declared.least}" if count < declared.least else declared.most
        yield f"{what} with {count} inputs, where it takes {limit}"
    for attribute in node.attribute:
        kind = declared.attributes.get(attribute.name, attribute.type)
        if attribute.type != kind:
            name = AttributeProto.AttributeType.Name(kind)
            yield f"{what} whose {attribute.name} is not of type {name}"
    missing = declared.required - {attribute.name for attribute in node.attribute}
    if missing:
        yield f"{what} without {min(missing)}"

"""Edits of names, versions, and what a model says of itself."""

from random import Random

from onnx import ModelProto

from support.fuzzing.draw import INTEGERS, TEXTS, Edit, draw_name, draw_node, list_named, toss

_KEYS = ("preprocessor_config", "labels", "classes", "names", "id2label", "nhle_onnx", "k")
_VALUES = (
    "null", "[]", "{}", "0", "NaN", "1e999", '{"image_mean": [0.5]}', '{"image_mean": null}',
    '{"rescale_factor": "x"}', '{"size": -1, "image_mean": 0}', '{"pretrained_cfg": {}}',
    '{"do_rescale": [], "size": {"height": 1e400}}', '{"0": "a"}', '["a", "a"]', "[" * 5000,
)  # fmt: skip


def rename_value(model: ModelProto, chance: Random) -> None:
    """Another name for a value wherever it stands: a bad one, or that of another value."""
    old = draw_name(model, chance)
    new = chance.choice(TEXTS) if toss(chance, 0.7) else draw_name(model, chance)
    graph = model.graph
    for part in list_named(graph):
        part.name = new if part.name == old else part.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def rename_node(model: ModelProto, chance: Random) -> None:
    """A bad name for a node, or for its operator."""
    node = draw_node(model, chance)
    setattr(node, chance.choice(("name", "op_type", "domain", "overload")), chance.choice(TEXTS))


def add_metadata(model: ModelProto, chance: Random) -> None:
    """What commands look for in a model's metadata, in a form that they do not expect."""
    value = chance.choice((*_VALUES, *TEXTS))
    model.metadata_props.add(key=chance.choice((*_KEYS, *TEXTS)), value=value)


def change_version(model: ModelProto, chance: Random) -> None:
    """Versions that there are, and that there never will be."""
    versions = [*range(1, 27), *INTEGERS]
    match chance.randrange(4):
        case 0:
            model.ir_version = chance.choice((*range(1, 14), *INTEGERS))
        case 1:
            model.opset_import.add(domain=chance.choice(TEXTS), version=chance.choice(versions))
        case _ if model.opset_import:
            chance.choice(model.opset_import).version = chance.choice(versions)


EDITS: tuple[Edit, ...] = (rename_value, rename_value, rename_node, add_metadata, change_version)

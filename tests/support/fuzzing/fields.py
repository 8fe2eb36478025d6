"""Edits that know nothing of ONNX but its description, so that every field there is can be hit."""

import copy
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import ModelProto

from support.fuzzing.draw import FLOATS, INTEGERS, TEXTS, Edit, draw_part, list_parts, toss

Field = Any  # protobuf has two classes for it
_MANY = 1000
_LIMITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def clear_field(model: ModelProto, chance: Random) -> None:
    """Take a field away."""
    message = draw_part(model, chance)
    if fields := message.ListFields():
        message.ClearField(chance.choice(fields)[0].name)


def set_field(model: ModelProto, chance: Random) -> None:
    """Give any scalar field, set or not, a value at the end of its range."""
    message = draw_part(model, chance)
    fields = [field for field in message.DESCRIPTOR.fields if field.message_type is None]
    if not fields:
        return
    field = chance.choice(fields)
    value = _draw_value(field, chance)
    if not field.is_repeated:
        setattr(message, field.name, value)
        return
    values = getattr(message, field.name)
    if values and toss(chance, 0.7):
        values[chance.randrange(len(values))] = value
    else:
        values.append(value)


def change_list(model: ModelProto, chance: Random) -> None:
    """Drop, repeat, or reorder what a list holds."""
    message = draw_part(model, chance)
    fields = [field for field, _ in message.ListFields() if field.is_repeated]
    if not fields:
        return
    values = getattr(message, chance.choice(fields).name)
    items = [copy.deepcopy(item) for item in values]
    place = chance.randrange(len(items))
    match chance.randrange(5):
        case 0:
            del items[place]
        case 1:
            items.insert(chance.randrange(len(items)), copy.deepcopy(items[place]))
        case 2:
            chance.shuffle(items)
        case 3:
            items = items[:place]
        case 4:
            items += [items[place]] * min(_MANY, 10**6 // (1 + _measure(items[place])))
    del values[:]
    values.extend(items)


def graft(model: ModelProto, chance: Random) -> None:
    """Put a copy of one part in the place of another of its kind, or into it."""
    target = draw_part(model, chance)
    source = copy.deepcopy(chance.choice(list_parts(model, type(target))))
    if toss(chance):
        target.CopyFrom(source)
    else:
        target.MergeFrom(source)


def _draw_value(field: Field, chance: Random) -> object:
    if field.enum_type is not None:
        return chance.choice(sorted(field.enum_type.values_by_number))
    if field.cpp_type in _LIMITS:
        lowest, highest = _LIMITS[field.cpp_type]
        return min(max(chance.choice(INTEGERS), lowest), highest)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        text = chance.choice(TEXTS)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    return chance.choice(FLOATS)


def _measure(item: object) -> int:
    return item.ByteSize() if isinstance(item, Message) else 8


EDITS: tuple[Edit, ...] = (clear_field, set_field, set_field, change_list, graft)

"""Protocol buffers' wire format, as much of it as checkpoints use, read without trusting a byte of it.

A message is a row of fields: a tag (number and wire type) and a value. A schema is a table that names the
fields wanted, `{number: Field(name, kind)}`; the others are stepped over, as the format asks.
"""

from collections.abc import Iterator
from typing import NamedTuple

from keras_bert.checkpoints.json_text import quoted
from keras_bert.errors import CheckpointError
from keras_bert.files.varint import varint

# So that a few bytes each cannot keep a reader busy.
MAX_REPEATED = 2**16

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {"int": _VARINT, "bytes": _BYTES, "fixed32": _FIXED32}


class Field(NamedTuple):
    """A field of a schema: its name, its kind ("int", "fixed32" or "bytes"), and whether it may repeat."""

    name: str
    kind: str
    repeated: bool = False


def read_varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    """The variable-length integer at a place, and the place behind it.

    Args:
        data: bytes.
        position: int.
        where: str. For the message.

    Returns:
        Tuple (value, position); the value is at least 0 and below 2^64.
    """
    if position < len(data) and data[position] < 0x80:  # nearly all are so short
        return data[position], position + 1
    value = shift = 0
    for byte in data[position : position + 10]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < 2**64:
            return value, position
        shift += 7
    raise CheckpointError("A number is cut off or longer than 64 bits", where=where)


def parse(data: bytes, schema: dict[int, Field], where: str) -> dict:
    """The fields of a message that the schema names.

    Args:
        data: bytes.
        schema: dict of field number to Field.
        where: str. For the message.

    Returns:
        dict of name to value; repeated fields are lists, and there even where they are empty. Integers are
        signed.

    Raises:
        CheckpointError: it is cut, is no such message, or says the same thing twice.
    """
    result = {field.name: [] for field in schema.values() if field.repeated}
    for number, wire_type, value in _fields(data, where):
        field = schema.get(number)
        if field is None:
            continue
        if wire_type != _WIRE_TYPES[field.kind]:
            raise CheckpointError(f"The field `{field.name}` is of another type", where=where)
        if field.kind == "int" and value >= 2**63:
            value -= 2**64
        if field.repeated:
            values = result[field.name]
            values.append(value)
            if len(values) > MAX_REPEATED:
                raise CheckpointError(
                    f"The field `{field.name}` repeats too often",
                    where=where,
                    expected=f"at most {MAX_REPEATED}",
                )
        elif field.name in result:
            raise CheckpointError(f"The field `{field.name}` stands there twice", where=where)
        else:
            result[field.name] = value
    return result


def text(value: bytes, where: str) -> str:
    """The text of a field or key, which is UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CheckpointError(f"{quoted(value)} is not UTF-8", where=where) from None


def int_field(number: int, value: int) -> bytes:
    """A field of a non-negative integer; nothing at all for 0, which is the default."""
    return varint(number << 3 | _VARINT) + varint(value) if value else b""


def fixed32_field(number: int, value: int) -> bytes:
    """A field of four bytes; nothing at all for 0, which is the default."""
    return varint(number << 3 | _FIXED32) + value.to_bytes(4, "little") if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes, or of a message within the message."""
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def _fields(data: bytes, where: str) -> Iterator[tuple[int, int, int | bytes]]:
    position = 0
    while position < len(data):
        tag = data[position]
        position += 1
        if tag >= 0x80:
            tag, position = read_varint(data, position - 1, where)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise CheckpointError(f"There is no field {number}", where=where)
        if wire_type == _VARINT:
            value, position = read_varint(data, position, where)
        elif wire_type in (_BYTES, _FIXED32, _FIXED64):
            if wire_type == _BYTES:
                length, position = read_varint(data, position, where)
            else:
                length = 4 if wire_type == _FIXED32 else 8
            if length > len(data) - position:
                raise CheckpointError("A field is longer than what holds it", where=where)
            value = data[position : position + length]
            position += length
            if wire_type != _BYTES:
                value = int.from_bytes(value, "little")
        else:
            raise CheckpointError(f"A field has the wire type {wire_type}", where=where)
        yield number, wire_type, value

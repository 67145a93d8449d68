"""Integers as protobuf writes them, seven bits a byte, the lowest first."""


def varint(value: int) -> bytes:
    """A non-negative integer in its variable-length form."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)

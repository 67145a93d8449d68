"""JSON and text out of files that nobody vouches for: read strictly, quoted at a length fit for a message."""

import json
import reprlib

from keras_bert.errors import CheckpointError, KerasBertError


def quoted(value) -> str:
    """`repr(value)` at a length fit for a message: what stands in a hostile file may be megabytes long."""
    form = reprlib.Repr()
    form.maxstring = form.maxother = 120
    return form.repr(value)


def json_object(data: bytes, where: str, error: type[KerasBertError] = CheckpointError) -> dict:
    """The JSON object in `data`, refusing what is no object, repeats a key or is no JSON at all.

    Args:
        data: bytes. UTF-8, a byte order mark is tolerated.
        where: str. The file, for the message.
        error: type. The error to raise.

    Returns:
        dict.
    """

    def no_repeats(pairs):
        result = {}
        for key, value in pairs:
            if key in result:
                raise ValueError(f"the key {quoted(key)} stands there twice")
            result[key] = value
        return result

    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=no_repeats)
    except (ValueError, RecursionError) as cause:
        raise error(f"Not valid JSON: {cause}", where=where, expected="one JSON object in UTF-8") from None
    if not isinstance(value, dict):
        raise error(f"JSON of type {type(value).__name__}", where=where, expected="one JSON object")
    return value

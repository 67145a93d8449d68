"""Several labels of one row, as the formats write them."""

import json

from keras_bert.data.columns import shortened
from keras_bert.errors import DataError


def listed_labels(given, where: str) -> list[str]:
    """The names, each once; blank ones are none.

    Args:
        given: list of str or int; or str: the same as JSON, or names with commas between them.
        where: str. Location for messages.
    Raises:
        DataError: something else, such as a list as Python prints it.
    """
    names = given
    if isinstance(given, str):
        if given.lstrip().startswith("["):
            try:
                names = json.loads(given)
            except (ValueError, RecursionError):
                names = None
        else:
            names = given.split(",")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str | int) for name in names):
        raise DataError(
            f"The labels are {shortened(given)}", where=where,
            expected='a list of names, as JSON ["a", "b"] or a,b',
        )  # fmt: skip
    return list(dict.fromkeys(name for each in names if (name := str(each).strip())))

"""Finds the texts of a file that mean what a query says; one JSON object a query.

--input_file holds the texts (a table with a text column, or one text a line), --query or --queries_file what
is looked for. With --labels_file, a table of `text` and `row` (from 0, empty where no text answers), the
threshold under which a query is declined is chosen for most right answers, and printed.
"""

import json

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import DataError, UsageError

REQUIRED = ("model_dir", "input_file")


def define(values):
    """The flags of `search`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_string("input_file", None, "the texts to search", flag_values=values)
    flags.DEFINE_multi_string("query", None, "what to look for", flag_values=values)
    flags.DEFINE_string("queries_file", None, "file of what to look for", flag_values=values)
    flags.DEFINE_string(
        "labels_file", None, "queries with the row that answers each, to choose the threshold by",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("k", 5, "texts a query", lower_bound=1, flag_values=values)
    flags.DEFINE_float("threshold", -1.0, "lowest cosine that counts as found", -1.0, 1.0, flag_values=values)
    flags.DEFINE_integer("eval_batch_size", 32, "texts in a batch", lower_bound=1, flag_values=values)


def run(values, positional):
    """Loads, embeds, searches, prints."""
    options.existing_file(values.input_file, "input_file")
    if not (values.query or values.queries_file or values.labels_file):
        raise UsageError("Nothing to look for", expected="--query, --queries_file or --labels_file")
    queries = list(values.query or ())
    options.check_utf8(queries, "--query")
    reading = options.reading(values)
    encoded = {"encoding": reading.get("encoding")}  # of all the files; the rest is the texts' alone
    if values.queries_file:
        queries += _texts(options.existing_file(values.queries_file, "queries_file"), encoded)
    texts = _texts(values.input_file, reading)
    bert = options.load(values)
    from keras_bert.search import TextIndex

    index = TextIndex(bert, texts, batch_size=values.eval_batch_size, threshold=values.threshold)
    if values.labels_file:
        print(json.dumps(index.tune(*_labelled(values.labels_file, len(texts), encoded))))
    for query, found in zip(queries, index.search(queries, values.k) if queries else (), strict=True):
        print(json.dumps({"query": query, "found": found}, ensure_ascii=False))


def _texts(path, reading) -> list[str]:
    from keras_bert.data.readers import rows_from

    return [row["text"] for _, row in rows_from(path, wanted=("text",), **reading)]


def _labelled(path, count, reading) -> tuple[list, list]:
    """(queries, the row of each or None)."""
    from keras_bert.data.readers import rows_from

    queries, rows = [], []
    options.existing_file(path, "labels_file")
    for where, row in rows_from(path, wanted=("text",), optional=("row",), **reading):
        given = row.get("row")
        try:  # pandas writes whole numbers beside blanks as 2.0
            number = None if given is None else float(given)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        number = int(number) if number is not None and number.is_integer() else number
        if number is not None and (isinstance(number, float) or not 0 <= number < count):
            raise DataError(
                f"The row is {given!r}",
                where=where,
                expected=f"0 to {count - 1}, or empty where none answers",
            )
        queries.append(row["text"])
        rows.append(number)
    return queries, rows

"""Rows of standard input: JSON objects with the task's columns, one a line, or lines of text."""

import json
import sys
from collections.abc import Iterator, Mapping

from keras_bert.data.choices import with_choices
from keras_bert.data.columns import column_names
from keras_bert.errors import DataError, UsageError
from keras_bert.files.encodings import decoded_lines
from keras_bert.files.text_streams import invalid_json

NAME = "standard input"


def rows_of_stdin(task, encoding: str | None = None, columns: Mapping | None = None) -> Iterator[dict]:
    """Yields the rows, as they come.

    A task of one text reads every line that is no JSON object as a text, blank ones too, so that answers
    stand beside lines. Of other tasks blank lines are passed over.

    Args:
        task: Task.
        encoding: str or None. None: what a byte order mark says, else UTF-8.
        columns: dict from our column to the name in the objects; others are recognised by name.
    Raises:
        DataError: a line that cannot be read or lacks a column, with its number.
        UsageError: a column given by position; an encoding that is none.
    """
    from keras_bert.inference import check_texts

    for ours, theirs in (columns or {}).items():
        if isinstance(theirs, int):
            raise UsageError(
                "Objects have no positions", where=f"--{ours}_column={theirs}", expected="the name of a key"
            )
    required = (*task.columns, *task.list_columns)
    for number, line in enumerate(_lines(encoding), 1):
        line, where = line.rstrip("\r\n"), f"{NAME}:{number}"
        record, fault = _object(line)
        if record is None and required == task.columns[:1]:
            row = {required[0]: line}  # a text may begin with a brace too
        elif record is None and not line.strip():
            continue
        else:
            record = with_choices(record) if record and task.row_kind == "choices" else record
            row = _columns_of(record or {}, task, columns or {})
            if any(row.get(name) is None for name in required):
                expected = f"an object with {', '.join(required)}"
                if fault:
                    raise invalid_json(fault, where, expected)
                raise DataError("A column is missing", where=where, expected=expected)
        for name, value in row.items():
            if value is not None:
                check_texts(value, name in task.list_columns, f"{where}, {name}")
        yield row


def _lines(encoding) -> Iterator[str]:
    binary = getattr(sys.stdin, "buffer", None)  # a stream that stands in for it may have text alone
    return iter(sys.stdin) if binary is None else decoded_lines(binary, NAME, encoding)


def _object(line: str) -> tuple[dict | None, Exception | None]:
    """The object that a line holds and None; or None and what is wrong with it, if it looks like one."""
    if not line.lstrip().startswith("{"):
        return None, None
    try:
        return json.loads(line), None
    except (ValueError, RecursionError) as error:
        return None, error


def _columns_of(record: Mapping, task, columns: Mapping) -> dict:
    """The task's columns of an object, under our names."""
    row, taken = {}, set()
    for ours in (*task.columns, *task.list_columns, *task.optional_columns):
        names = (columns[ours],) if ours in columns else column_names(ours)
        theirs = next((name for name in names if name in record and name not in taken), None)
        if theirs is not None:
            row[ours] = record[theirs]
            taken.add(theirs)
    return row

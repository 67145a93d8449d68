"""Rows from a pipe, and arguments that name the wrong thing."""

import io
import json
import types

import pytest

from keras_bert.cli.main import main
from keras_bert.cli.predict import _chunks
from keras_bert.cli.standard_input import rows_of_stdin
from keras_bert.errors import DataError, UsageError

ONE = types.SimpleNamespace(
    columns=("text",), list_columns=(), optional_columns=("text_pair",), row_kind=None
)
TWO = types.SimpleNamespace(
    columns=("question", "context"), list_columns=(), optional_columns=(), row_kind="answers"
)


@pytest.fixture
def piped(monkeypatch):
    def pipe(content, task=ONE, **reading):
        stream = io.BytesIO(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(stream)))
        return list(rows_of_stdin(task, **reading))

    return pipe


def test_a_byte_order_mark_and_leading_blanks_are_no_part_of_an_object(piped):
    assert piped('\ufeff{"text": "a film"}\n  {"text": "b"}\n') == [{"text": "a film"}, {"text": "b"}]


def test_bytes_are_read_in_the_encoding_that_is_named(piped):
    assert piped("电影\n".encode("gbk"), encoding="gbk") == [{"text": "电影"}]
    with pytest.raises(DataError, match="not valid utf-8") as caught:
        piped(b"good\ncaf\xe9 film\n")
    assert caught.value.where == "standard input:2"


def test_columns_are_found_by_the_name_that_is_given_or_known(piped):
    assert piped('{"sentence": "a", "sentence2": "b"}\n') == [{"text": "a", "text_pair": "b"}]
    assert piped('{"body": "a"}\n', columns={"text": "body"}) == [{"text": "a"}]
    with pytest.raises(UsageError, match="positions"):
        piped('{"body": "a"}\n', columns={"text": 0})


def test_a_blank_line_is_a_text_where_lines_are_texts_and_nothing_elsewhere(piped):
    assert piped("a\n\nb\n") == [{"text": "a"}, {"text": ""}, {"text": "b"}]
    row = {"question": "who", "context": "Anna"}
    assert piped(f"{json.dumps(row)}\n\n", TWO) == [row]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"text": "a \\ud83d film"}', "half a character"),
        ('{"text": 5}', "Not a text"),
        ('{"title": "a"}', "column is missing"),
        ('{"text": null}', "column is missing"),
    ],
)
def test_a_line_that_cannot_be_answered_is_named_by_its_number(piped, line, what):
    with pytest.raises(DataError, match=what) as caught:
        piped(f'{{"text": "a"}}\n{line}\n')
    assert caught.value.where.startswith("standard input:2")


def test_a_line_with_a_hundred_thousand_brackets_ends_in_a_message(piped):
    with pytest.raises(DataError, match="not valid JSON"):
        piped('{"question": ' + "[" * 100_000 + "\n", TWO)


def test_the_rows_before_a_bad_one_are_answered_before_it_is_told():
    def rows():
        yield from ({"text": text} for text in "abc")
        raise DataError("bad")

    chunks, seen = _chunks(rows(), ONE, 2), []
    with pytest.raises(DataError, match="bad"):
        seen.extend(chunks)
    assert seen == [{"text": ["a", "b"]}, {"text": ["c"]}]


def test_what_stands_without_a_flag_is_refused(capsys, rows_file):
    assert main(["finetune", "--train_file", str(rows_file), "more.tsv", "--output_dir=out"]) == 2
    assert "'more.tsv' stands without a flag" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["output_file", "errors_file"])
def test_a_file_is_not_replaced_by_what_is_made_of_it(capsys, rows_file, tmp_path, flag):
    before = rows_file.read_bytes()
    (tmp_path / "link.tsv").symlink_to(rows_file)
    verb = "predict" if flag == "output_file" else "evaluate"
    command = [verb, "--model_dir=none", f"--input_file={rows_file}", f"--{flag}={tmp_path / 'link.tsv'}"]
    assert main(command) == 2
    assert "would be replaced" in capsys.readouterr().err and rows_file.read_bytes() == before


def test_a_folder_is_not_said_to_be_missing(capsys, tmp_path):
    assert main(["predict", "--model_dir=none", f"--input_file={tmp_path}"]) == 2
    assert "This is a folder" in capsys.readouterr().err


def test_a_text_of_the_command_line_that_is_no_utf_8_is_refused(capsys):
    assert main(["predict", "--model_dir=none", "--text=caf\udce9"]) == 2
    assert "not UTF-8" in capsys.readouterr().err

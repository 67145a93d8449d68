"""Rows of multiple choice: where the choices stand, and what a label may be."""

import json

import pytest

from keras_bert.data.choices import checked_choices
from keras_bert.data.task_rows import task_rows
from keras_bert.errors import DataError

WANTED = ("text", "choices", "label")
CHOICES = ["a dog", "a cat", "a cow"]


@pytest.fixture
def file(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def read(path, wanted=WANTED, **reading):
    rows = task_rows(path, "choices", wanted=wanted, optional=("sample_weight",), **reading)
    return [(row["text"], *checked_choices(row, where)) for where, row in rows]


def refusal(path):
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "It barks.", "choices": ["a dog", "a cat", "a cow"], "label": 0}'),
        ("a.json", '[{"sentence": "It barks.", "options": ["a dog", "a cat", "a cow"], "label": "A"}]'),
        ("a.json", '{"text": "It barks.", "A": "a dog", "B": "a cat", "C": "a cow", "label": "a dog"}'),
        ("a.jsonl", '{"text": "It barks.", "choices": {"label": ["1", "2", "3"], '
                    '"text": ["a dog", "a cat", "a cow"]}, "label": "1"}'),  # ARC
        ("a.csv", "text,choice_0,choice_1,choice_2,label\nIt barks.,a dog,a cat,a cow,0\n"),
        ("a.csv", 'text,choices,label\nIt barks.,"[""a dog"", ""a cat"", ""a cow""]",0\n'),
        ("a.csv", "label,ending0,ending1,ending2,ending3,text\n0,a dog,a cat,a cow,,It barks.\n"),  # SWAG
        ("a.tsv", "text\tA\tB\tC\tlabel\nIt barks.\ta dog\ta cat\ta cow\tA\n"),
        ("a.tsv", "premise\tchoice1\tchoice2\tchoice3\tlabel\nIt barks.\ta dog\ta cat\ta cow\t0\n"),  # COPA
    ],
)  # fmt: skip
def test_every_layout_gives_the_same_row(file, name, content):
    assert read(file(name, content)) == [("It barks.", CHOICES, 0)]


def test_rows_may_have_different_numbers_of_choices(file):
    table = "text\tchoice_0\tchoice_1\tchoice_2\tlabel\nx\ta\tb\t\tB\ny\ta\tb\tc\tC\n"
    assert read(file("a.tsv", table)) == [("x", ["a", "b"], 1), ("y", ["a", "b", "c"], 2)]


def test_columns_are_chosen_by_name(file):
    table = "startphrase\tending0\tending1\tgold\nIt\tbarks\tmews\t1\n"
    columns = {"text": "startphrase", "label": "gold"}
    assert read(file("a.tsv", table), columns=columns) == [("It", ["barks", "mews"], 1)]
    record = json.dumps({"ctx": "It", "endings": ["barks", "mews"], "gold": 1})
    assert read(file("a.jsonl", record), columns={"text": "ctx", "label": "gold"})[0][2] == 1


def test_rows_in_memory_are_read_alike():
    rows = [{"text": "x", "choices": CHOICES, "label": 2}, {"text": "y", "choices": CHOICES, "label": 0}]
    assert read(rows) == [("x", CHOICES, 2), ("y", CHOICES, 0)]
    assert read((["x"], [CHOICES], [1])) == [("x", CHOICES, 1)]


def test_a_row_needs_no_label_where_none_is_wanted(file):
    path = file("a.jsonl", json.dumps({"text": "x", "choices": CHOICES}))
    [(_, row)] = task_rows(path, "choices", wanted=("text", "choices"))
    assert row == {"text": "x", "choices": CHOICES}


@pytest.mark.parametrize(
    ("label", "place"),
    [(1, 1), (1.0, 1), ("1", 1), ("B", 1), ("b", 1), (" a cat ", 1), ("a cow", 2), ("C", 2)],
)
def test_a_label_is_a_number_a_letter_or_the_choice(label, place):
    assert checked_choices({"choices": CHOICES, "label": label}, "") == (CHOICES, place)


@pytest.mark.parametrize(
    ("choices", "label", "part"),
    [
        (CHOICES, None, "There is no label"),
        (CHOICES, 3, "The label 3 is none of the choices"),
        (CHOICES, "3", "The label '3' is none"),
        (CHOICES, -1, "The label -1"),
        (CHOICES, True, "The label True"),
        (CHOICES, 0.5, "The label 0.5"),
        (CHOICES, "D", "The label 'D'"),
        (CHOICES, "a horse", "The label 'a horse'"),
        (["B", "A"], "A", "may mean the choices 0 and 1"),
        (["2", "3", "1"], "1", "may mean the choices 1 and 2"),
        (["a", "x", "x"], "x", "may mean the choices 1 and 2"),
        (["a dog"], 0, "The choices are ['a dog']"),
        ("a dog", 0, "The choices are 'a dog'"),
        (None, 0, "The choices are None"),
        (["a dog", " "], 0, "Choice 1 (counted from 0) is ' '"),
        (["a dog", 5], 0, "Choice 1 (counted from 0) is 5"),
    ],
)
def test_a_row_without_a_right_choice_is_refused(choices, label, part):
    with pytest.raises(DataError) as caught:
        checked_choices({"choices": choices, "label": label}, "a.jsonl:7")
    assert caught.value.where == "a.jsonl:7" and part in caught.value.what


def test_numbers_are_never_taken_for_the_text_of_a_choice():
    assert checked_choices({"choices": ["2", "3", "1"], "label": 1}, "")[1] == 1
    assert checked_choices({"choices": ["0", "1", "2"], "label": "1"}, "")[1] == 1


@pytest.mark.parametrize(
    ("name", "content", "line", "part"),
    [
        ("a.jsonl", "", None, "no rows"),
        ("a.csv", "", None, "no rows"),
        ("a.jsonl", '{"text": "x", "choices": ["a", "b"], "label": 0}\n{"text": ', 2, "not valid JSON"),
        ("a.jsonl", '{"text": "x", "label": 0}', 1, "no 'choices'"),
        ("a.jsonl", '{"text": "x", "choices": ["a", "b"]}', 1, "no 'label'"),
        ("a.jsonl", '{"choices": ["a", "b"], "label": 0}', 1, "'text' is None"),
        ("a.jsonl", '["x"]', 1, "The row is ['x']"),
        ("a.csv", "text,choice_0,label\nx,a,0\n", 2, "no 'choices'"),
        ("a.csv", "text,choice_0,choice_1,choice_2,label\nx,a,,b,1\n", 2, "Choice 1"),
        ("a.csv", "text,choice_0,choice_1\nx,a,b\n", 1, "no column 'label'"),
        ("a.jsonl", '{"text": "x", "choices": "' + "a" * 5_000_000 + '", "label": 0}', 1, "The choices"),
        ("a.tsv", "text\tA\tB\tlabel\n北京大学\ta\tb\tA\n".encode("gb18030"), 2, "not valid utf-8"),
        ("a.conll", "a b c d", None, "suffix .conll"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(file, name, content, line, part):
    path = file(name, content)
    error = refusal(path)
    assert error.where == (f"{path}:{line}" if line else str(path))
    assert part in error.what and len(str(error)) < 600

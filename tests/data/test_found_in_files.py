"""What public files hold beside the format they are said to have: read right, or refused with a way out."""

import warnings

import pytest

from keras_bert.data.label_lists import listed_labels
from keras_bert.data.readers import read_rows
from keras_bert.data.spans import checked_spans, span_rows
from keras_bert.data.squad import checked_answers
from keras_bert.data.task_rows import task_rows
from keras_bert.data.tolerant import tolerant_rows
from keras_bert.errors import DataError

SPANS = ("text", "spans")


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def rows(path, wanted=("text", "label"), **reading):
    read = [row for _, row in read_rows(path, wanted=wanted, **reading)]
    assert [row for _, row in tolerant_rows(path, wanted=wanted, **reading)] == read
    return read


def test_a_line_end_in_a_quoted_field_is_as_long_as_in_the_file(file):
    path = file("a.csv", b'text,label\r\n"Dear\r\nBean",good\r\n"a\nb",bad\r\n')
    assert [row["text"] for row in rows(path)] == ["Dear\r\nBean", "a\nb"]
    path = file("b.csv", b'text,spans\r\n"Dear\r\nBean","[[6, 10, ""PER""]]"\r\n')
    [(_, row)] = task_rows(path, "spans", wanted=SPANS)
    [(start, end, _)] = checked_spans(row["spans"], row["text"], "")
    assert row["text"][start:end] == "Bean"


def test_an_error_behind_a_quoted_line_end_names_its_line(file):
    path = file("a.csv", b'text,label\r\n"Dear\r\nBean",good\r\nonly one\r\n')
    with pytest.raises(DataError) as caught:
        list(read_rows(path, wanted=("text", "label")))
    assert caught.value.where == f"{path}:4"


def test_glues_own_names_are_known_where_there_are_no_better_ones(file):
    mrpc = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tan apple\ta pear\n"
    optional = {"optional": ("text_pair",)}
    assert rows(file("mrpc.txt", mrpc), delimiter="tab", **optional) == [
        {"text": "an apple", "text_pair": "a pear", "label": "1"}
    ]
    by_position = {"columns": {"text": 3, "text_pair": 4, "label": 0}}
    assert len(rows(file("mrpc.tsv", mrpc), **optional, **by_position)) == 1
    assert rows(file("mine.csv", "text,class,quality\na,b,c\n")) == [{"text": "a", "label": "b"}]


def test_a_column_that_only_a_later_row_has_is_found_under_any_of_its_names(file):
    path = file(
        "a.jsonl", '{"sentence1": "a", "label": 1}\n{"sentence1": "b", "sentence2": "c", "label": 0}\n'
    )
    assert [row.get("text_pair") for row in rows(path, optional=("text_pair",))] == [None, "c"]


def test_the_header_of_a_second_file_within_the_file_is_no_row(file):
    assert [r["text"] for r in rows(file("a.tsv", "text\tlabel\na\tx\ntext\tlabel\nb\ty\n"))] == ["a", "b"]
    # A text that is called as its column is one; nothing beside it tells that it is none.
    assert [r["text"] for r in rows(file("b.tsv", "text\na\ntext\n"), wanted=("text",))] == ["a", "text"]
    joined = "token\tlabel\nEU\tB-ORG\n\n\ufeff-DOCSTART-\tO\n\ntoken\tlabel\nx\tO\n"
    read = [row["text"] for _, row in task_rows(file("a.conll", joined), "spans", wanted=SPANS)]
    assert read == ["EU", "x"]


def test_a_first_column_that_counts_the_words_is_not_taken_for_them(file):
    path = file("germeval.tsv", "# url [2009-10-17]\n1\tAnna\tB-PER\tO\n2\tcame\tO\tO\n\n1\tSo\tO\tO\n")
    with pytest.raises(DataError, match="counts the words") as caught:
        list(task_rows(path, "spans", wanted=SPANS))
    assert caught.value.where == f"{path}:2" and "--text_column=1" in caught.value.remedy
    chosen = {"columns": {"text": 1, "spans": 2}}
    [(_, row), _] = task_rows(path, "spans", wanted=SPANS, **chosen)
    assert row["text"] == "Anna came" and row["spans"] == [{"start": 0, "end": 4, "label": "PER"}]


def test_lower_case_prefixes_are_prefixes_and_a_name_with_a_dash_is_a_name(file):
    path = file("a.conll", "New b-loc\nYork i-loc\nand o\nmail e-mail\n")
    [(_, row)] = task_rows(path, "spans", wanted=SPANS)
    assert [(s["start"], s["end"], s["label"]) for s in row["spans"]] == [(0, 8, "loc"), (13, 17, "e-mail")]


def test_tagged_words_are_read_though_their_text_stands_beside_them():
    record = {"text": "EU rejects", "tokens": ["EU", "rejects"], "ner_tags": ["B-ORG", "O"]}
    [(_, row)] = span_rows([("row 1", record)])
    assert row["spans"] == [{"start": 0, "end": 2, "label": "ORG"}] and row["units"] == "words"
    record = {"text": "EU rejects", "tokens": ["EU", "rejects"], "labels": [[0, 2, "ORG"], [3, 10, "ACT"]]}
    [(_, row)] = span_rows([("row 1", record)])
    assert [span["label"] for span in row["spans"]] == ["ORG", "ACT"]


@pytest.mark.parametrize(
    ("text", "given", "found"),
    [
        ("Anna lives", (0, 5), (0, 4)),
        (" Anna", (0, 5), (1, 5)),
        ("\u200eEU\u200f x", (0, 4), (1, 3)),
        ("a\u200bb", (0, 3), (0, 3)),
    ],
)
def test_what_cannot_be_seen_at_the_ends_of_a_span_is_no_part_of_it(text, given, found):
    assert checked_spans([[*given, "PER"]], text, "") == [(*found, "PER")]


@pytest.mark.parametrize("span", [[4, 5, "PER"], [0, 4, "O"]])
def test_a_span_of_nothing_and_one_that_is_called_as_no_span_are_refused(span):
    with pytest.raises(DataError) as caught:
        checked_spans([span], "Anna lives", "a.jsonl:1")
    assert caught.value.where == "a.jsonl:1"


def test_texts_to_be_answered_are_no_words_and_tags(file):
    def texts(name, content):
        return [row["text"] for _, row in task_rows(file(name, content), "spans", wanted=("text",))]

    assert texts("a.txt", "hello world\nAnna came\n") == ["hello world", "Anna came"]
    assert texts("a.tsv", "id\ttext\n7\tAnna came\n8\tEU rejects\n") == ["Anna came", "EU rejects"]
    assert texts("b.tsv", "text\nAnna came\n") == ["Anna came"]
    assert texts("b.txt", "EU B-ORG\nrejects O\n\nx O\n") == ["EU rejects", "x"]
    assert texts("c.tsv", "token\ttag\nEU\tB-ORG\nrejects\tO\n") == ["EU rejects"]


@pytest.mark.parametrize("given", ["a, b,,a", '["a", "", "b"]', ["a", "b "]])
def test_labels_are_listed_once_and_blank_ones_are_none(given):
    assert listed_labels(given, "") == ["a", "b"]


@pytest.mark.parametrize("given", ["['a', 'b']", "[" * 100_000, [["a"]], None, 1.5])
def test_other_lists_of_labels_are_refused(given):
    with pytest.raises(DataError, match="labels"):
        listed_labels(given, "row 1")


def test_an_answer_that_looks_like_a_list_of_numbers_is_a_text():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert checked_answers("[1]", "as in [1] above", "") == [{"text": "[1]", "start": 6}]

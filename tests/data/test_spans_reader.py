"""Rows of a text and its spans, in every layout that tools write."""

import collections
import json

import pytest

from keras_bert.data.spans import checked_spans
from keras_bert.data.task_rows import task_rows
from keras_bert.errors import DataError

WANTED = ("text", "spans")
TEXT = "Anna lives in New York"
SPANS = [(0, 4, "PER"), (14, 22, "LOC")]
ROW = {"text": TEXT, "spans": [{"start": s, "end": e, "label": label} for s, e, label in SPANS]}
LISTS = [list(span) for span in SPANS]


@pytest.fixture
def file(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def read(path, wanted=WANTED, **reading):
    return [row for _, row in task_rows(path, "spans", wanted=wanted, **reading)]


def refusal(path):
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize(
    "record",
    [
        ROW,
        {"text": TEXT, "spans": LISTS[::-1]},
        {"text": TEXT, "entities": LISTS},
        {"text": TEXT, "label": LISTS},  # doccano's
        {"sentence": TEXT, "labels": LISTS},
        [TEXT, {"entities": LISTS}],  # spaCy's
        {
            "text": TEXT,
            "entities": [
                {"id": i, "start_offset": s, "end_offset": e, "label": label}
                for i, (s, e, label) in enumerate(SPANS)
            ],
        },
        {"text": TEXT, "label": {"PER": {"Anna": [[0, 3]]}, "LOC": {"New York": [[14, 21]]}}},  # CLUENER's
        {"tokens": TEXT.split(), "ner_tags": ["B-PER", "O", "O", "B-LOC", "I-LOC"]},  # Hugging Face's
    ],
)
def test_every_layout_gives_the_same_row(file, record):
    for name, text in (
        ("a.jsonl", json.dumps(record)),
        ("a.json", json.dumps([record], indent=1)),
        ("a.txt", json.dumps(record)),
    ):
        [row] = read(file(name, text))
        assert (row["text"], row["spans"]) == (TEXT, ROW["spans"])


def test_objects_written_over_several_lines_follow_one_another(file):
    path = file("a.json", "\n".join(json.dumps(ROW, indent=2) for _ in range(3)))
    assert read(path) == [ROW] * 3
    assert [where for where, _ in task_rows(path, "spans", wanted=WANTED)][1] == f"{path}:16"


def test_tables_have_their_spans_as_json(file):
    spans = json.dumps(ROW["spans"]).replace('"', '""')
    [row] = read(file("a.csv", f'text,spans\n"{TEXT}","{spans}"\n'))
    assert checked_spans(row["spans"], TEXT, "") == SPANS
    [row] = read(file("a.tsv", f"sentence\tentities\n{TEXT}\t{LISTS}\n"), columns={"spans": "entities"})
    assert row["text"] == TEXT


def test_rows_in_memory_are_read_alike():
    assert read([ROW, {"text": "b", "spans": []}]) == [ROW, {"text": "b", "spans": []}]
    assert read(([TEXT], [ROW["spans"]])) == [ROW]


def test_other_keys_are_kept_and_keys_are_chosen_by_name(file):
    [row] = read(file("a.jsonl", json.dumps({"body": TEXT, "marks": LISTS, "sample_weight": 2, "id": 7})),
                 columns={"text": "body", "spans": "marks"})  # fmt: skip
    assert row == {**ROW, "sample_weight": 2, "id": 7}


def test_a_text_without_spans_is_read_where_none_are_wanted(file):
    path = file("a.json", '{"text": "a"}')
    assert read(path, ("text",)) == [{"text": "a"}]
    error = refusal(path)
    assert error.where == f"{path}:1" and "no 'spans'" in error.what and "'text'" in error.expected


def test_spans_come_in_the_order_of_the_text_and_once():
    assert checked_spans([*LISTS[::-1], LISTS[0]], TEXT, "") == SPANS
    assert checked_spans(SPANS, TEXT, "") == SPANS
    for nothing in (None, "", [], {}, "[]"):
        assert checked_spans(nothing, TEXT, "") == []


@pytest.mark.parametrize(
    ("spans", "part"),
    [
        ([[0, 23, "X"]], "from 0 to 23 in a text of 22"),
        ([[-1, 2, "X"]], "from -1 to 2"),
        ([[3, 3, "X"]], "from 3 to 3"),
        ([[4, 2, "X"]], "from 4 to 2"),
        ([["0", "4", "X"]], "from '0' to '4'"),
        ([[0.0, 4.0, "X"]], "from 0.0 to 4.0"),
        ([[True, 4, "X"]], "from True to 4"),
        ([[0, 4, " "]], "label of the span at 0 is ' '"),
        ([{"start": 0, "end": 4}], "label of the span at 0 is None"),
        ([{"end": 4, "label": "X"}], "from None to 4"),
        ([[0, 4]], "A span is [0, 4]"),
        ([[0, 4, "X"], [3, 7, "Y"]], "overlap: X 0-4 'Anna' and Y 3-7 'a li'"),
        ([[0, 4, "X"], [0, 4, "Y"]], "overlap"),
        ([{"start": 1, "end": 5, "label": "X", "text": "Anna"}], "says 'Anna', but the text has 'nna '"),
        ({"PER": {"Anna": [[0, 4]]}}, "says 'Anna', but the text has 'Anna '"),
        ({"PER": {"Anna": [["0", "3"]]}}, "place of 'Anna'"),
        ({"PER": [[0, 3]]}, "Under 'PER'"),
        ({"X": {"Anna": [[0, 3]], "a l": [[3, 5]]}}, "overlap"),
        ("[[0, 4", "The spans are"),
        (7, "The spans are 7"),
    ],
)
def test_spans_that_cannot_be_are_named(file, spans, part):
    path = file("a.jsonl", json.dumps(ROW) + "\n" + json.dumps({"text": TEXT, "spans": spans}))
    error = refusal(path)
    assert error.where == f"{path}:2" and part in error.what


def test_a_span_that_stands_elsewhere_is_shown_where(file):
    text = "😀 Anna"
    with pytest.raises(DataError, match="'Anna' stands from 2 to 6; were the offsets counted in bytes"):
        checked_spans([{"start": 1, "end": 5, "label": "X", "text": "Anna"}], text, "")


def test_a_span_within_another_is_left_out_of_nested_objects_with_one_warning(file):
    record = {
        "text": "招商银行报告",
        "label": {"book": {"招商银行报告": [[0, 5]]}, "company": {"招商银行": [[0, 3]]}},
    }
    path = file("a.jsonl", "\n".join([json.dumps(record)] * 2))
    with pytest.warns(UserWarning, match=r"2 spans lie within others.*a\.jsonl:1") as caught:
        rows = read(path)
    assert [row["spans"] for row in rows] == [[{"start": 0, "end": 6, "label": "book"}]] * 2
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("name", "content", "line", "part"),
    [
        ("a.jsonl", "", None, "no rows"),
        ("a.json", "[]", None, "no rows"),
        ("a.jsonl", json.dumps(ROW) + '\n{"text": "b", "spans": [', 2, "not valid JSON"),
        ("a.json", json.dumps(ROW, indent=1)[:-30], 11, "not valid JSON"),
        ("a.jsonl", "[1, 2]", 1, "The row is [1, 2]"),
        ("a.jsonl", '{"spans": []}', 1, "'text' is None"),
        ("a.jsonl", '{"text": " ", "spans": []}', 1, "'text' is empty"),
        ("a.jsonl", '{"text": "\\ud83d", "spans": []}', 1, "half a character"),
        ("a.jsonl", '{"text": "a", "spans": null}', 1, "'spans'"),
        ("a.jsonl", '{"tokens": ["a"], "ner_tags": [3]}', 1, "The tag 3 is no name"),
        ("a.jsonl", '{"tokens": ["a"], "ner_tags": ["O", "O"]}', 1, "1 words and 2 tags"),
        ("a.jsonl", '{"text": "' + "a" * 5_000_000 + '", "spans": 5}', 1, "The spans are 5"),
        ("a.jsonl", "北京大学的学生".encode("gb18030"), 1, "not valid utf-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(file, name, content, line, part):
    path = file(name, content)
    error = refusal(path)
    assert error.where == (f"{path}:{line}" if line else str(path))
    assert part in error.what and len(str(error)) < 600


def test_cluener_reads_as_its_authors_counted_it(data_folder):
    cluener = data_folder / "zh" / "cluener"
    with pytest.warns(UserWarning, match="2 spans lie within others"):
        train = read(cluener / "train.json")
    dev = read(cluener / "dev.json")
    types = collections.Counter(span["label"] for row in train + dev for span in row["spans"])
    assert (len(train), len(dev), types.total(), len(types)) == (10748, 1343, 23971 - 2 + 3072, 10)
    assert types["name"] == 3755 + 465
    assert len(read(cluener / "test.json", ("text",))) == 1345

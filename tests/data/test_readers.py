import gzip
import json
import lzma

import pytest

from keras_bert.data.readers import read_rows
from keras_bert.errors import DataError, UsageError

WANTED = ("text", "label")
PAIR = ("text", "text_pair", "label")


@pytest.fixture
def file(tmp_path):
    """Writes a file and returns its path."""

    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def rows(path, wanted=WANTED, **reading) -> list[dict]:
    return [row for _, row in read_rows(path, wanted=wanted, **reading)]


def refusal(path, wanted=WANTED, error=DataError, **reading):
    with pytest.raises(error) as caught:
        rows(path, wanted, **reading)
    return caught.value


GOOD = {"text": "good film", "label": "1"}
BAD = {"text": "bad film", "label": "0"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tlabel\ngood film\t1\nbad film\t0\n"),
        ("a.tsv", "label\tindex\ttext_a\r\n1\t7\tgood film\r\n0\t8\tbad film"),
        ("a.TSV", "\ufeffLabel\t Sentence \n1\tgood film\n\n0\tbad film\n\n"),
        ("a.csv", 'review,class\n"good film",1\nbad film,0\n'),
        ("a.jsonl", '{"text": "good film", "label": "1"}\n\n{"label": "0", "text": "bad film"}\n'),
        ("a.json", '[{"text": "good film", "label": "1"}, {"text": "bad film", "label": "0"}]'),
        ("a.json", '{"text": "good film",\n "label": "1"}\n{"text": "bad film", "label": "0"}\n'),
    ],
)
def test_every_format_gives_the_same_rows(file, name, content):
    assert rows(file(name, content)) == [GOOD, BAD]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_tables_read_like_plain_ones(file, suffix, compress):
    assert rows(file("a.tsv" + suffix, compress(b"text\tlabel\ngood film\t1\n"))) == [GOOD]


def test_rows_come_with_the_line_they_begin_on(file):
    path = file("a.csv", 'text,label\n"two\nlines",1\n\n"a, ""b""",0\n')
    assert list(read_rows(path, wanted=WANTED)) == [
        (f"{path}:2", {"text": "two\nlines", "label": "1"}),
        (f"{path}:5", {"text": 'a, "b"', "label": "0"}),
    ]
    path = file("a.json", '[\n {"text": "a"},\n {"text": "b"}]\n{"text": "c"}')
    assert [where for where, _ in read_rows(path, wanted=("text",))] == [
        f"{path}:1, item 1", f"{path}:1, item 2", f"{path}:4",
    ]  # fmt: skip


def test_a_tab_separated_file_has_no_quotes(file):
    assert rows(file("a.tsv", 'text\tlabel\n"good" film\t1\n" bad\t0\n')) == [
        {"text": '"good" film', "label": "1"},
        {"text": '" bad', "label": "0"},
    ]


def test_text_is_kept_to_the_letter_and_labels_are_stripped(file):
    assert rows(file("a.tsv", "text\tlabel\n a\u2028b\x0b \t positive \n")) == [
        {"text": " a\u2028b\x0b ", "label": "positive"}
    ]


def test_a_text_file_holds_one_text_a_line(file):
    path = file("a.txt", "text\nreview, with\ttab\n\n\n")
    assert rows(path, ("text",)) == [{"text": "text"}, {"text": "review, with\ttab"}]


def test_a_blank_line_between_texts_is_an_empty_text(file):
    assert refusal(file("a.txt", "a\n\nb\n"), ("text",)).where.endswith("a.txt:2")


def test_columns_are_chosen_by_name_and_by_position(file):
    path = file("a.tsv", "gj04\t1\t\tgood film\ngj05\t0\t*\tbad film\n")
    for columns in ({"label": 1, "text": 3}, {"label": "1", "text": "3"}):
        assert rows(path, columns=columns) == [GOOD, BAD]
    path = file("b.tsv", "Quality\tString\ttext\n1\tgood film\tother\n")
    assert rows(path, columns={"label": "Quality", "text": "string"}) == [GOOD]
    assert rows(path, columns={"label": 0, "text": 1}, header=True) == [GOOD]
    assert rows(path, ("text",), columns={"text": None}) == [{"text": "other"}]


def test_a_header_is_recognised_where_columns_are_given_by_position(file):
    path = file("a.tsv", "label\ttext_a\n1\tgood film\n")
    assert rows(path, columns={"label": 0, "text": 1}) == [GOOD]
    path = file("b.tsv", "1\treview\n1\tgood film\n")
    assert rows(path, columns={"label": 0, "text": 1}) == [{"text": "review", "label": "1"}, GOOD]


def test_one_column_without_a_header_is_the_text(file):
    assert rows(file("a.tsv", "good film\nbad film\n"), ("text",)) == [
        {"text": "good film"},
        {"text": "bad film"},
    ]
    assert rows(file("b.tsv", "text_a\ngood film\n"), ("text",)) == [{"text": "good film"}]


def test_a_given_delimiter_wins_over_the_suffix(file):
    assert rows(file("a.csv", "text;label\ngood film;1\n"), delimiter=";") == [GOOD]
    assert rows(file("a.txt", "text\tlabel\ngood film\t1\n"), delimiter="tab") == [GOOD]
    assert rows(file("b.csv", 'text\tlabel\n"good film\t1\n'), delimiter="\\t")[0]["text"] == '"good film'


def test_optional_columns_are_absent_where_nothing_is_in_them(file):
    path = file("a.tsv", "text\ttext_b\tweight\na\tb\t2\na\t \t\n")
    optional = ("text_pair", "sample_weight", "label")
    assert rows(path, ("text",), optional=optional) == [
        {"text": "a", "text_pair": "b", "sample_weight": "2"},
        {"text": "a"},
    ]
    path = file("a.jsonl", '{"text": "a"}\n{"text": "b", "text_pair": "c", "label": null}\n')
    assert rows(path, ("text",), optional=optional) == [{"text": "a"}, {"text": "b", "text_pair": "c"}]


def test_a_column_both_wanted_and_optional_is_wanted(file):
    path = file("a.tsv", "text\tlabel\na\t\n")
    assert "empty" in refusal(path, WANTED, optional=("label",)).what


def test_json_values_stay_what_they_are(file):
    path = file("a.jsonl", '{"text": "a", "label": 1, "spans": [{"start": 0}], "score": 0.5}\n')
    assert rows(path, ("text", "label", "spans", "score")) == [
        {"text": "a", "label": 1, "spans": [{"start": 0}], "score": 0.5}
    ]


def test_an_empty_list_of_labels_is_a_value(file):
    assert rows(file("a.tsv", "text\tlabels\na\t\n"), ("text", "labels")) == [{"text": "a", "labels": ""}]
    path = file("a.jsonl", '{"text": "a", "labels": []}\n')
    assert rows(path, ("text", "labels")) == [{"text": "a", "labels": []}]


def test_rows_are_read_one_at_a_time(file):
    path = file("a.tsv", "text\tlabel\ngood film\t1\nragged\n")
    assert next(read_rows(path, wanted=WANTED))[1] == GOOD


def test_a_line_of_many_megabytes_is_read_at_once(file):
    long = "word " * 2_000_000
    assert rows(file("a.tsv", f"text\tlabel\n{long}\t1\n")) == [{"text": long, "label": "1"}]


@pytest.mark.parametrize(
    ("name", "content", "line", "parts"),
    [
        ("a.tsv", "", None, ["no rows"]),
        ("a.tsv", "\n\n", None, ["no rows"]),
        ("a.tsv", "text\tlabel\n", 1, ["no rows below the header"]),
        ("a.tsv", "text\tlabel\na\n", 2, ["1 columns, the first one 2"]),
        ("a.tsv", "text\tlabel\na\t1\na\tb\t1\n", 3, ["3 columns, the first one 2"]),
        ("a.csv", "text,label\na,b,1\n", 2, ["3 columns, the first one 2"]),
        ("a.tsv", "text\tlabel\n  \t1\n", 2, ["'text' is empty"]),
        ("a.tsv", "text\tlabel\na\t \n", 2, ["'label' is empty"]),
        ("a.tsv", "text\tlabel\na\tNaN\n", 2, ["'label' is 'NaN'"]),
        ("a.tsv", "text\tsentiment\na\t1\n", 1, ["no column 'label'", "'sentiment'", "--label_column"]),
        (
            "a.tsv",
            "text_a\tsentence\tlabel\na\tb\t1\n",
            1,
            ["Several", "'text_a', 'sentence'", "--text_column"],
        ),
        ("a.tsv", "a\t1\nb\t0\n", 1, ["names no column", "'a', '1'", "--text_column", 'columns={"text": 0}']),
        ("a.csv", "text;label\na;1\n", 1, ["--delimiter=semicolon"]),
        ("a.csv", 'text,label\na,1\n"b,1\nc,0\n', 3, ["not valid CSV"]),
        ("a.csv", 'text,label\n"a" b,1\n', 2, ["not valid CSV"]),
        ("a.csv", "text,label\n" + "a" * 200_000 + ",1\n", 2, ["field limit", ".jsonl"]),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", \n', 2, ["not valid JSON"]),
        ("a.jsonl", '{"text": "a", "label": 1}\n["b", 1]\n', 2, ["list ['b', 1]"]),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', 2, ["no 'label'", "'text'"]),
        ("a.jsonl", '{"text": 5, "label": 1}\n', 1, ["not a text but int 5"]),
        ("a.jsonl", '{"text": "a", "label": NaN}\n', 1, ["'label' is nan"]),
        ("a.jsonl", '{"text": "a", "label": null}\n', 1, ["'label' is None"]),
        ("a.jsonl", '{"text": "\\ud83d", "label": 1}\n', 1, ["half a character"]),
        ("a.jsonl", "[" * 100_000, 1, ["not valid JSON"]),
        ("a.json", '{"text": "a", "label": 1}\n\n {"text": }', 3, ["not valid JSON"]),
        ("a.json", '{"data": [], "version": 1}', 1, ["'data', 'version'"]),
        ("a.txt", "a\n", None, [".txt", "text, label"]),
        ("a.parquet", "a", None, [".parquet"]),
        ("table", "a", None, ["suffix missing"]),
    ],
)
def test_a_mistake_is_named_with_its_line(file, name, content, line, parts):
    path = file(name, content)
    error = refusal(path)
    assert error.where == (f"{path}:{line}" if line else str(path))
    for part in parts:
        assert part in str(error)


def test_wrong_bytes_are_named_with_their_line_and_encoding(file):
    path = file("a.tsv", "text\tlabel\n这家酒店的服务态度\t1\n", "gb18030")
    error = refusal(path)
    assert error.where == f"{path}:2" and "--encoding=gb18030" in error.remedy
    assert rows(path, encoding="gb18030")[0]["text"] == "这家酒店的服务态度"


def test_columns_that_are_not_there_are_refused(file):
    path = file("a.tsv", "text\tlabel\tlabel\na\t1\t1\n")
    assert "'text', 'label'" in refusal(path, columns={"text": "review"}).expected
    assert "2 columns called 'label'" in refusal(path, columns={"label": "label"}).what
    assert "from 0 to 2" in refusal(path, columns={"label": 3}).expected
    assert "no column 'txt'" in refusal(path, error=UsageError, columns={"txt": 0}).what


def test_nonsense_delimiters_are_refused(file):
    assert refusal(file("a.csv", "a"), error=UsageError, delimiter="||").where == "delimiter='||'"


def test_columns_beyond_those_given_by_position_are_ignored_with_one_warning(file):
    path = file("a.tsv", "good film\t1\nbad film\t0\textra\nbad film\t0\textra\n")
    with pytest.warns(UserWarning, match="a.tsv:2.*3 columns, the first one 2") as caught:
        assert rows(path, columns={"text": 0, "label": 1}) == [GOOD, BAD, BAD]
    assert len(caught) == 1
    assert "1 columns" in refusal(file("b.tsv", "a\t1\nb\n"), columns={"text": 0, "label": 1}).what


def test_long_content_is_shortened_in_messages(file):
    error = refusal(file("a.jsonl", json.dumps(["x" * 10_000])))
    assert len(str(error)) < 400


def test_the_glue_files_read_as_their_authors_wrote_them(data_folder):
    glue = data_folder / "glue"
    cola = rows(glue / "CoLA" / "train.tsv", columns={"label": 1, "text": 3})
    assert len(cola) == 7250 and cola[0]["text"].startswith("Our friends won't buy this analysis")
    assert len(rows(glue / "RTE" / "train.tsv", PAIR)) == 2490
    mrpc = {"label": 0, "text": 3, "text_pair": 4}
    assert len(rows(glue / "MRPC" / "msr_paraphrase_train.txt", PAIR, columns=mrpc, delimiter="tab")) == 4076
    assert {row["label"] for row in rows(glue / "SST-2" / "dev.tsv")} == {"0", "1"}
    sts = {"score": 4, "text": 5, "text_pair": 6}
    with pytest.warns(UserWarning, match="9 columns"):
        read = rows(
            glue / "STS-B" / "sts-test.csv", ("text", "text_pair", "score"), columns=sts, delimiter="tab"
        )
    assert len(read) == 1379 and all(0 <= float(row["score"]) <= 5 for row in read)

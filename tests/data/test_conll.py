"""Tagged words: columns, tags of every dialect, offsets into the joined text, and what is refused."""

import collections
import gzip

import pytest

from keras_bert.data import conll
from keras_bert.data.readers import read_rows
from keras_bert.data.task_rows import task_rows
from keras_bert.errors import DataError

WANTED = ("text", "spans")


@pytest.fixture
def file(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def read(content, **columns):
    return [row for _, row in conll.conll_rows(content.splitlines(keepends=True), "a.conll", **columns)]


def spelled(row):
    """The spans as (what stands there, label)."""
    return [(row["text"][s["start"] : s["end"]], s["label"]) for s in row["spans"]]


def refusal(content, **columns):
    with pytest.raises(DataError) as caught:
        read(content, **columns)
    return caught.value


CONLL = "EU B-ORG\nrejects O\nGerman B-MISC\ncall O\n\nPeter B-PER\nBlackburn I-PER\n"


def test_words_become_a_text_and_tags_spans_of_its_characters():
    assert read(CONLL) == [
        {
            "text": "EU rejects German call",
            "spans": [
                {"start": 0, "end": 2, "label": "ORG"},
                {"start": 11, "end": 17, "label": "MISC"},
            ],
            "units": "words",
        },
        {
            "text": "Peter Blackburn",
            "spans": [{"start": 0, "end": 15, "label": "PER"}],
            "units": "words",
        },
    ]


@pytest.mark.parametrize(
    "content",
    [
        CONLL.replace(" ", "\t"),
        CONLL.replace(" ", "  "),
        CONLL.replace("\n", "\r\n"),
        CONLL.replace("\n\n", "\n\t\n \n\n") + "\n\n",
        CONLL.rstrip("\n"),
        "-DOCSTART- -X- O\n\n" + CONLL,
        "# id 5f3a\tdomain=en\n" + CONLL.replace("\n\n", "\n\n#\tpassage-2\n# text = Peter Blackburn\n"),
        "word\ttag\n" + CONLL.replace(" ", "\t"),
        CONLL.replace(" ", " NNP x "),
    ],
)
def test_the_layout_of_the_file_changes_nothing(content):
    assert read(content) == read(CONLL)


def test_a_hash_that_is_a_word_stays_one():
    assert [row["text"] for row in read("#\tO\nid\tO\n\n#text\tO\n# 1\tO\n")] == ["# id", "#text # 1"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-X I-X B-X O I-Y", [("a b", "X"), ("c", "X"), ("e", "Y")]),  # BIO
        ("I-X I-X B-X O I-Y", [("a b", "X"), ("c", "X"), ("e", "Y")]),  # IOB1
        ("B-X E-X S-X O S-Y", [("a b", "X"), ("c", "X"), ("e", "Y")]),  # BIOES
        ("B-X L-X U-X O U-Y", [("a b", "X"), ("c", "X"), ("e", "Y")]),  # BILOU
        ("X X Z O creative-work", [("a b", "X"), ("c", "Z"), ("e", "creative-work")]),  # IO
        ("B-X M-X E-X o B_Y", [("a b c", "X"), ("e", "Y")]),  # BMES
        ("B M E S S", [("a b c", "_"), ("d", "_"), ("e", "_")]),  # word segmentation
    ],
)
def test_every_scheme_is_read(tags, expected):
    words = zip("abcde", tags.split(), strict=True)
    [row] = read("".join(f"{word} {tag}\n" for word, tag in words))
    assert spelled(row) == expected


def test_single_characters_of_chinese_are_joined_without_blanks():
    rows = read("北 B-LOC\n京 I-LOC\n的 O\n\ni B-X\nP I-X\n5 O\n\n我 O\n的 O\niPhone B-X\nX O\n。 O\n")
    assert [row["text"] for row in rows] == ["北京的", "iP5", "我的iPhone X。"]
    assert [spelled(row) for row in rows] == [[("北京", "LOC")], [("iP", "X")], [("iPhone", "X")]]
    assert {row["units"] for row in rows} == {"pieces"}


def test_words_of_chinese_keep_their_blanks():
    [row] = read("我 O\n在 O\n北京 B-LOC\n工作 O\n")
    assert row["text"] == "我 在 北京 工作" and row["units"] == "words"


def test_a_word_with_a_blank_in_it_keeps_its_offsets():
    [row] = read("the\tO\nNew York\tB-LOC\ncity\tO\n")
    assert row["text"] == "the New York city" and spelled(row) == [("New York", "LOC")]


def test_columns_are_chosen_by_position():
    content = "1\tAnn\tB-PER\tO\tx\n2\tsaw\tO\tB-Z\tx\n"
    [row] = read(content, text_column=1, tag_column=2)
    assert row["text"] == "Ann saw" and spelled(row) == [("Ann", "PER")]
    assert "--text_column" in refusal(content).remedy


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        ("just\nwords\n", 1, "1 columns"),
        ("a b c d e\n", 1, "5 columns"),
        ("a O\nb O O\n", 2, "3 columns, the first one 2"),
        ("a O\n\nb\n", 3, "1 columns, the first one 2"),
        ("a\tO\n \tO\n", 2, "word is blank"),
        ("a B-PER\nb 0\n", 2, "'0' is no name"),
        ("a B-X\nb B-X,B-Y\n", 2, "several tags"),
        ("a B-\n", 1, "names no label"),
        ("a " * 1_000_000 + "\n", 1, "1000000 columns"),
    ],
)
def test_a_line_that_is_no_word_with_its_tag_is_named(content, line, part):
    error = refusal(content)
    assert error.where == f"a.conll:{line}" and part in error.what and error.expected
    assert len(str(error)) < 500


def test_a_sentence_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(conll, "MAX_WORDS", 3)
    error = refusal("a O\n" * 4)
    assert error.where == "a.conll:4" and "begins at a.conll:1" in error.what


def test_sentences_are_read_as_the_file_goes_on():
    def lines():
        yield from ("a O\n", "\n") * 200
        raise AssertionError("read too far")

    assert next(conll.conll_rows(lines(), "a.conll"))[0] == "a.conll:1"


def test_requests_have_slots_and_an_intent():
    lines = ["add:O 04:45:B-time pm:I-time list::O :O <=> AddToPlaylist\n", "\n", "a\u00a0b:B-x <=> Go"]
    (where, first), (other, second) = conll.slot_rows(lines, "train")
    assert (where, other) == ("train:1", "train:3")
    assert first["text"] == "add 04:45 pm list:" and first["label"] == "AddToPlaylist"
    assert spelled(first) == [("04:45 pm", "time")] and spelled(second) == [("a\u00a0b", "x")]


def test_one_file_of_requests_has_the_rows_of_both_tasks(tmp_path):
    """For `--train_file=intent=train,slots=train`."""
    path = tmp_path / "train"
    path.write_text("add:O it:B-song to:O jazz:B-list <=> Add\nplay:O jazz:B-list <=> Play\n")
    labelled = [row for _, row in read_rows(path, wanted=("text", "label"), optional=("text_pair",))]
    assert labelled == [{"text": "add it to jazz", "label": "Add"}, {"text": "play jazz", "label": "Play"}]
    tagged = [row for _, row in task_rows(path, "spans", wanted=("text",), optional=("spans",))]
    assert [row["text"] for row in tagged] == [row["text"] for row in labelled]
    assert tagged[1]["spans"] == [{"start": 5, "end": 9, "label": "list"}]
    with pytest.raises(DataError, match="suffix missing"):
        list(read_rows(path, wanted=("text", "score")))


@pytest.mark.parametrize("line", ["a:O b:O", "a:O b <=> Go", "a:O <=> ", " <=> Go", ": <=> Go", ":O <=> Go"])
def test_a_line_that_is_no_request_is_named(line):
    with pytest.raises(DataError, match="train:2: "):
        list(conll.slot_rows(["a:O <=> Go\n", line], "train"))


@pytest.mark.parametrize("name", ["a.conll", "a.bio", "a.iob2", "a.txt", "a.tsv", "test.annotated", "train"])
def test_files_of_words_may_have_any_name(file, name):
    [row, _] = task_rows(file(name, CONLL.replace(" ", "\t")), "spans", wanted=WANTED)
    assert row[0].endswith(f"{name}:1") and spelled(row[1]) == [("EU", "ORG"), ("German", "MISC")]


def test_files_of_words_may_be_compressed_or_in_another_encoding(file):
    path = file("a.bio.gz", gzip.compress("\ufeff北 B-LOC\n京 I-LOC\n".encode("gb18030")))
    [(_, row)] = task_rows(path, "spans", wanted=WANTED, encoding="gb18030")
    assert row["text"] == "北京"
    with pytest.raises(DataError, match=r"a\.bio:1: .*--encoding=gb18030"):
        list(task_rows(file("a.bio", "北京大学的学生 B-LOC\n", "gb18030"), "spans", wanted=WANTED))


def test_positions_of_columns_reach_files_of_words(file):
    path = file("a.conll", "1 Ann B-PER O\n")
    [(_, row)] = task_rows(path, "spans", wanted=WANTED, columns={"text": "1", "spans": 2, "label": None})
    assert row["text"] == "Ann" and spelled(row) == [("Ann", "PER")]
    with pytest.raises(DataError, match="no names"):
        list(task_rows(path, "spans", wanted=WANTED, columns={"text": "word"}))


@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- O\n\n"])
def test_a_file_without_sentences_is_refused(file, content):
    with pytest.raises(DataError, match=r"a\.conll: There are no rows"):
        list(task_rows(file("a.conll", content), "spans", wanted=WANTED))


def counts(path):
    rows = [row for _, row in task_rows(path, "spans", wanted=WANTED)]
    return len(rows), collections.Counter(span["label"] for row in rows for span in row["spans"])


def test_the_published_files_of_tags_read_as_their_authors_counted_them(data_folder):
    wnut = data_folder / "ner" / "wnut17"
    number, types = counts(wnut / "wnut17train.conll")
    assert (number, types.total(), types["person"]) == (3394, 1975, 660)
    number, types = counts(wnut / "emerging.test.annotated")
    assert (number, types.total(), types["person"]) == (1287, 1079, 429)
    assert counts(wnut / "emerging.dev.conll")[0] == 1009
    with pytest.raises(DataError, match="conll:212: This word has several tags"):
        counts(wnut / "emerging.test.conll")
    snips = data_folder / "slu" / "snips"
    for name, expected in (("train", (13084, 33877)), ("valid", (700, 1871)), ("test", (700, 1794))):
        number, types = counts(snips / name)
        assert (number, types.total(), len(types)) == (*expected, 39)

"""Documents out of files by pieces: for every size of the pieces the same ones, each once."""

import collections
import gzip
import json
import lzma
import random
import tracemalloc

import pytest

from keras_bert.corpus import documents, lines
from keras_bert.corpus.documents import Document, Piece, Reading, documents_of, plan_pieces
from keras_bert.errors import DataError, UsageError
from keras_bert.files.text_streams import find_text_files

WHOLE = 1 << 40


def read(paths, piece_bytes=WHOLE, counts=None, **reading) -> list[Document]:
    """All documents of some files, piece by piece."""
    reading = Reading(**reading)
    paths = [str(path) for path in paths] if isinstance(paths, list) else [str(paths)]
    pieces = plan_pieces(paths, reading, piece_bytes)
    return [found for piece in pieces for found in documents_of(piece, reading, counts)]


def sentences(paths, piece_bytes=WHOLE, **reading) -> list[list[str]]:
    return [document.sentences for document in read(paths, piece_bytes, **reading)]


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.fixture
def small_limits(monkeypatch):
    """Limits small enough for files of some hundred bytes to pass them."""
    for module, name, value in (
        (lines, "MAX_LINE_CHARACTERS", 40),
        (documents, "MAX_LINE_CHARACTERS", 40),
        (lines, "MAX_BLOCK_CHARACTERS", 25),
        (lines, "MAX_BLANK_BYTES", 12),
        (lines, "_BLOCK", 16),
        (documents, "MAX_PART_CHARACTERS", 60),
    ):
        monkeypatch.setattr(module, name, value)


def test_a_line_is_a_sentence_and_blank_lines_part_documents(tmp_path):
    path = write(tmp_path / "a.txt", "\n\n One. Two! \nThree\n \t\u3000\n\nFour\n")
    assert read(path) == [
        Document((0, 2, 0), ["One. Two!", "Three"], 18),
        Document((0, 27, 0), ["Four"], 5),
    ]


def test_running_text_is_split_into_sentences(tmp_path):
    path = write(tmp_path / "a.txt", "One. Two!\nThree\n\nFour。五")
    assert sentences(path, sentences="text") == [["One.", "Two!", "Three"], ["Four。", "五"]]


ROWS = [
    {"text": "One. Two!\nThree"},
    {"text": ["Four. Five", " ", "Six"]},
    {"text": " \n"},
    {"text": []},
]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("auto", [["One.", "Two!", "Three"], ["Four. Five", "Six"]]),
        ("lines", [["One. Two!", "Three"], ["Four. Five", "Six"]]),
        ("text", [["One.", "Two!", "Three"], ["Four.", "Five", "Six"]]),
    ],
)
def test_an_object_is_a_document(tmp_path, mode, expected):
    path, counts = write(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, ROWS))), collections.Counter()
    assert [found.sentences for found in read(path, counts=counts, sentences=mode)] == expected
    assert counts == {"bytes": path.stat().st_size, "empty_documents": 2}
    assert [found.place for found in read(path)] == [(0, 0, 0), (0, len(json.dumps(ROWS[0])) + 2, 0)]


def hostile_text(rng) -> str:
    """Lines of all lengths, line ends of all kinds, blanks of every kind and length."""
    parts = ["a", "word ", "é", "程序", "🎬", ". ", "。", "B", " ", "\u3000", "\x85", "\t", "-" * 30]
    ends = [
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\r\n\r\n",
        "\r\r",
        " \n",
        "\n \u3000 \n",
        "\n" + " " * 20 + "\n",
    ]
    return "".join(
        "".join(rng.choices(parts, k=rng.choice([0, 1, 2, 5, 30]))) + rng.choice(ends)
        for _ in range(rng.randint(0, 12))
    ).rstrip("\n" if rng.random() < 0.3 else "")


@pytest.mark.parametrize("mode", ["lines", "text"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_any_size_of_pieces_gives_the_same_documents(tmp_path, small_limits, mode, mark):
    rng, parts, cuts = random.Random(7), 0, 0
    for _ in range(25):
        path = write(tmp_path / "a.txt", mark + hostile_text(rng).encode())
        size, counts = path.stat().st_size, collections.Counter()
        expected = read(path, counts=counts, sentences=mode)
        parts += any(found.place[2] for found in expected)
        cuts += counts["cut_lines"]
        for piece_bytes in {1, 2, 3, 5, rng.randint(9, 200), max(1, size // 2), max(1, size - 1)}:
            counts_here = collections.Counter()
            assert read(path, piece_bytes, counts_here, sentences=mode) == expected
            assert +counts_here == +counts
            assert counts["bytes"] == size
    assert parts > 3 and cuts > 3


def test_a_file_read_as_a_whole_gives_the_same_sentences_as_its_pieces(tmp_path, small_limits):
    rng = random.Random(3)
    for _ in range(40):
        text = hostile_text(rng)
        plain = write(tmp_path / "a.txt", text)
        whole = write(tmp_path / "b.txt", gzip.compress(text.encode()))
        utf16 = write(tmp_path / "c.txt", text.encode("utf-16"))
        expected, found, other = read(plain, 5), read(whole), read(utf16)
        assert [document.sentences for document in found] == [document.sentences for document in expected]
        assert [document.num_bytes for document in found] == pytest.approx(
            [document.num_bytes for document in expected], abs=text.count("\r\n")
        )
        assert found == other


def test_any_size_of_pieces_gives_the_same_objects(tmp_path, small_limits):
    rng = random.Random(5)
    for _ in range(8):
        rows = [json.dumps({"text": hostile_text(rng)}, ensure_ascii=rng.random() < 0.5) for _ in range(5)]
        ends = rng.choices(["\n", "\r\n", "\r", "\n\n", "\n  \n"], k=5)
        path = write(tmp_path / "a.jsonl", "".join(row + end for row, end in zip(rows, ends, strict=True)))
        counts = collections.Counter()
        expected = read(path, counts=counts)
        for piece_bytes in (1, 2, 3, rng.randint(9, 200), len(rows[0]), len(rows[0]) + 1):
            counts_here = collections.Counter()
            assert read(path, piece_bytes, counts_here) == expected
            assert +counts_here == +counts


def test_no_letter_is_lost_whatever_the_text(tmp_path, small_limits):
    rng = random.Random(11)
    for _ in range(40):
        text = hostile_text(rng)
        path = write(tmp_path / "a.txt", text)
        for mode in ("lines", "text"):
            kept = "".join("".join(found.sentences) for found in read(path, 7, sentences=mode))
            assert "".join(kept.split()) == "".join(text.split())


def test_pieces_are_numbered_files_in_ranges_and_files_to_decode_are_one(tmp_path):
    write(tmp_path / "a.txt", "x" * 25)
    write(tmp_path / "b.txt", lzma.compress(b"x" * 25))
    write(tmp_path / "c.txt", ("x" * 25).encode("utf-16"))
    write(tmp_path / "d.txt", b"\xef\xbb\xbf" + b"x" * 17)
    paths = find_text_files(tmp_path)
    ranges = [(0, 10), (10, 20), (20, 25)]
    assert plan_pieces(paths, Reading(), 10) == [
        *(Piece(0, paths[0], *cut) for cut in ranges),
        Piece(1, paths[1], 0, None),
        Piece(2, paths[2], 0, None),
        Piece(3, paths[3], 0, 10),
        Piece(3, paths[3], 10, 20),
    ]
    assert len(plan_pieces(paths[:1], Reading(encoding="UTF8"), 10)) == 3
    assert plan_pieces(paths[:1], Reading(encoding="gb18030"), 10) == [Piece(0, paths[0], 0, None)]


def test_the_file_is_the_first_number_of_a_place(tmp_path):
    paths = [write(tmp_path / name, "one\n\ntwo\n") for name in ("a.txt", "b.txt")]
    assert [found.place for found in read(paths, 3)] == [(0, 0, 0), (0, 5, 0), (1, 0, 0), (1, 5, 0)]


def test_an_empty_file_has_no_document(tmp_path):
    assert read(write(tmp_path / "a.txt", "")) == read(write(tmp_path / "b.txt", "\n \n")) == []


def test_a_long_document_comes_in_parts_cut_between_sentences(tmp_path):
    line = "word " * 1000 + "\n"
    found = read(write(tmp_path / "a.txt", line * 200 + "\nnext\n"))
    assert [document.place for document in found] == [
        (0, 0, 0),
        (0, 0, 1),
        (0, 0, 2),
        (0, len(line) * 200 + 1, 0),
    ]
    assert [len(document.sentences) for document in found] == [80, 80, 40, 1]
    assert all(sum(map(len, document.sentences)) <= documents.MAX_PART_CHARACTERS for document in found)
    assert sum(document.num_bytes for document in found) == len(line) * 200 + len("next\n")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_one_line_of_many_megabytes_is_read_in_a_few(tmp_path, compress):
    sentence = "A sentence of Chinese 程序 and English words, " * 20 + "that ends. "
    times = 20_000_000 // len(sentence.encode())
    path = write(tmp_path / "a.txt", compress(sentence.encode() * times))
    counts, characters = collections.Counter(), 0
    tracemalloc.start()
    try:
        reading = Reading()
        for piece in plan_pieces([str(path)], reading, 1 << 20):
            for document in documents_of(piece, reading, counts):
                assert sum(map(len, document.sentences)) <= documents.MAX_PART_CHARACTERS
                characters += sum(map(len, document.sentences))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts["cut_lines"] == 1 and characters == times * len(sentence.rstrip())
    assert peak < 8_000_000


def test_a_long_line_without_white_space_is_cut_between_characters(tmp_path):
    path = write(tmp_path / "a.txt", "程🎬" * 1_250_000)
    found = [sentence for document in read(path) for sentence in document.sentences]
    assert [len(sentence) for sentence in found] == [100_000] * 25
    assert set("".join(found)) == set("程🎬")


def test_a_line_of_the_longest_length_is_not_cut(tmp_path):
    counts = collections.Counter()
    assert len(read(write(tmp_path / "a.txt", "a. " * 333_333 + "b\r\n"), counts=counts)[0].sentences) == 1
    assert counts["cut_lines"] == 0


@pytest.mark.parametrize("mode", ["auto", "lines", "text"])
def test_a_long_text_in_an_object_is_cut_as_a_long_line_is(tmp_path, small_limits, mode):
    long, counts = "one two. three, four five six seven eight nine ten", collections.Counter()
    rows = [{"text": long}, {"text": [long, "eleven. twelve"]}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    found = [
        sentence for document in read(path, counts=counts, sentences=mode) for sentence in document.sentences
    ]
    cut = ["one two. three, four", "five six seven eight", "nine ten"]
    assert found[:3] == found[3:6] == cut
    assert counts["cut_lines"] == 2


def test_an_object_over_the_limit_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MAX_JSON_BYTES", 200_000)
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n' + json.dumps({"text": "b" * 200_000}) + "\n")
    pieces = plan_pieces([str(path)], Reading(), 14)
    assert len(list(documents_of(pieces[0], Reading()))) == 1  # the long one begins in the next
    with pytest.raises(DataError, match="200,000 bytes") as caught:
        list(documents_of(pieces[1], Reading()))
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_wrong_byte_names_its_line_and_the_likely_encoding(tmp_path, piece_bytes, end):
    text = f"first{end}{end}second{end}".encode() * 30 + "这家酒店的服务态度很好".encode("gb18030")
    path = write(tmp_path / "a.txt", text + end.encode() + b"more")
    with pytest.raises(DataError, match="--encoding=gb18030") as caught:
        read(path, piece_bytes)
    assert caught.value.where == f"{path}:91"
    assert sentences(path, encoding="gb18030")[-1][-2:] == ["这家酒店的服务态度很好", "more"]


def test_line_ends_are_counted_where_they_lie_between_two_blocks(tmp_path):
    path = write(tmp_path / "a.txt", b"a" * (2**20 - 1) + b"\r\nb\r\n\r\xe4")
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}:4"


def test_a_nul_names_its_line(tmp_path):
    path = write(tmp_path / "a.txt", b"a\n\nb\n\nc\0\n")
    with pytest.raises(DataError, match="NUL") as caught:
        read(path, 2)
    assert caught.value.where == f"{path}:5"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_line_that_is_no_object_is_named(tmp_path, compress):
    path = write(tmp_path / "a.jsonl", compress(b'{"text": "a"}\r\n\r\n{"txt": "b"}\r\n'))
    with pytest.raises(DataError, match="no field 'text'") as caught:
        read(path, 5)
    assert caught.value.where == f"{path}:3"


def test_what_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--sentences"):
        Reading("paragraphs")
    with pytest.raises(UsageError, match="utf-9"):
        plan_pieces([str(write(tmp_path / "a.txt", "a"))], Reading(encoding="utf-9"), 10)
    with pytest.raises(DataError, match="cannot be read"):
        plan_pieces([str(tmp_path / "b.txt")], Reading(), 10)


def test_real_reviews_and_help_pages_are_the_same_by_pieces(data_folder, tmp_path):
    for name, column in (("imdb_reviews", "text"), ("libreoffice-help.zh-CN", "lines")):
        packed = data_folder / "corpora" / f"{name}.jsonl.gz"
        with gzip.open(packed) as file:
            rows = [next(file) for _ in range(500)]
        plain = write(tmp_path / "a.jsonl", b"".join(rows))
        expected = [json.loads(row)[column] for row in rows]
        found = read(plain, 10_007, column=column)
        assert [document.sentences for document in found] == sentences(plain, column=column)
        assert len(found) == 500
        for text, document in zip(expected, found, strict=True):
            text = text if isinstance(text, str) else "".join(text)
            assert "".join("".join(document.sentences).split()) == "".join(text.split())

"""Texts out of files, folders and patterns: nothing lost, nothing twice, every fault with its line."""

import gzip
import json
import lzma

import pytest

from keras_bert.errors import DataError
from keras_bert.files.text_streams import TextFiles, find_text_files


@pytest.fixture
def folder(tmp_path):
    """b.txt, a.jsonl.gz, deep/c.txt.xz, and files that hold no texts."""
    (tmp_path / "b.txt").write_bytes("one\r\n\ntwo\u2028still two\n".encode())
    rows = [{"text": "three"}, {"text": ["four", "five"], "other": 1}]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n\n".join(map(json.dumps, rows)).encode()))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.txt.xz").write_bytes(lzma.compress("六\n".encode()))
    (tmp_path / "d.csv").write_text("no,text\n")
    (tmp_path / ".hidden.txt").write_text("hidden\n")
    return tmp_path


def test_a_folder_gives_the_texts_of_all_its_text_files_in_order(folder):
    assert list(TextFiles(folder).texts()) == ["three", "four", "five", "one", "two\u2028still two", "六"]


def test_a_record_names_its_line_and_a_blank_line_is_an_empty_record(folder):
    records = list(TextFiles([folder / "b.txt", folder / "a.jsonl.gz"]))
    b, a = folder / "b.txt", folder / "a.jsonl.gz"
    assert records == [
        (f"{b}:1", ["one"]),
        (f"{b}:2", []),
        (f"{b}:3", ["two\u2028still two"]),
        (f"{a}:1", ["three"]),
        (f"{a}:3", ["four", "five"]),
    ]


def test_zstandard_is_found_and_read_as_the_others(tmp_path):
    compress = pytest.importorskip("zstandard").ZstdCompressor().compress
    (tmp_path / "a.txt.zst").write_bytes(compress(b"one\ntwo\n"))
    (tmp_path / "b.jsonl.ZST").write_bytes(compress(b'{"text": "three"}'))
    assert list(TextFiles(tmp_path).texts()) == ["one", "two", "three"]


def test_commas_and_patterns_name_several_files_each_once(folder):
    names = find_text_files(f"{folder}/b.txt, {folder}/**/*.txt*,{folder}/deep/../b.txt")
    assert names == [f"{folder}/deep/../b.txt", f"{folder}/deep/c.txt.xz"]


def test_a_file_whose_name_holds_a_comma_is_one_file(tmp_path):
    (tmp_path / "a,b.txt").write_text("text\n")
    assert find_text_files(tmp_path / "a,b.txt") == [str(tmp_path / "a,b.txt")]


def test_an_unknown_suffix_means_lines_of_text(tmp_path):
    (tmp_path / "wiki.train").write_text("one\ntwo")
    assert list(TextFiles(tmp_path / "wiki.train").texts()) == ["one", "two"]


def test_bytes_read_reach_the_size_of_a_plain_file(tmp_path):
    (tmp_path / "a.txt").write_text("é\n中文\nplain", encoding="utf-8")
    files = TextFiles(tmp_path / "a.txt")
    assert files.num_bytes_read == 0
    assert [len(text) for text in files.texts()] == [1, 2, 5]
    assert files.num_bytes_read == files.num_bytes == len("é\n中文\nplain".encode())


def test_files_are_read_as_they_are_asked_for(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.jsonl").write_text("no JSON\n")
    texts = TextFiles(tmp_path).texts()
    assert next(texts) == "one"  # the fault lies in the file after it
    with pytest.raises(DataError, match=r"b.jsonl:1"):
        next(texts)


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ('{"lines": ["a"]}', "no field 'text'; the fields are 'lines'"),
        ("{}", "the fields are none"),
        ('["a"]', "not an object"),
        ('{"text": "a"', "not valid JSON"),
        ('{"text": 3}', "holds no text"),
        ('{"text": ["a", null]}', "holds no text"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_line_that_is_no_such_object_is_named(tmp_path, line, fragment):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "good"}}\n\n{line}\n')
    with pytest.raises(DataError, match=fragment) as caught:
        list(TextFiles(path))
    assert caught.value.where == f"{path}:3"


def test_bytes_that_are_no_utf8_name_the_likely_encoding(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("我们都是中国人，今天天气很好\n".encode("gb18030"))
    with pytest.raises(DataError, match="--encoding=gb18030"):
        list(TextFiles(path))
    assert list(TextFiles(path, encoding="gb18030").texts()) == ["我们都是中国人，今天天气很好"]


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("absent.txt", "no such file"),
        ("*.nothing", "No file fits this pattern"),
        ("empty", "no text file in this folder"),
        ("d.csv", "not a text a line"),
        (" , ", "No file is named"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_at_once(folder, name, fragment):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=fragment):
        TextFiles(name if name == " , " else f"{folder}/{name}")

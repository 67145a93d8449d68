import gzip
import lzma
import os
import sys
import threading
import tracemalloc

import pytest

from keras_bert.errors import DataError, MissingExtraError, UsageError
from keras_bert.files.encodings import is_plain_utf8, likely_encoding, open_text


def read(path, encoding=None) -> list[str]:
    with open_text(path, encoding) as lines:
        return list(lines)


def write(path, data: bytes):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_becomes_a_newline(tmp_path, end):
    assert read(write(tmp_path / "a.txt", end.join("abc").encode())) == ["a\n", "b\n", "c"]


def test_only_line_ends_end_lines(tmp_path):
    line = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert read(write(tmp_path / "a.txt", f"{line}\nnext".encode())) == [line + "\n", "next"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding_and_disappears(tmp_path, encoding):
    assert read(write(tmp_path / "a.txt", "文\nb".encode(encoding))) == ["文\n", "b"]


def test_a_mark_disappears_where_the_encoding_was_given_too(tmp_path):
    assert read(write(tmp_path / "a.txt", b"\xef\xbb\xbfa"), "utf-8") == ["a"]


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_compressed_text_reads_as_plain_text_under_any_name(tmp_path, compress):
    assert read(write(tmp_path / "a.txt", compress("文\nb\n".encode()))) == ["文\n", "b\n"]


def test_a_named_encoding_is_used(tmp_path):
    assert read(write(tmp_path / "a.txt", "程序员\n".encode("gb18030")), "gb18030") == ["程序员\n"]


def test_a_pipe_is_read_once_from_front_to_back(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a\nb\n",))
    writer.start()
    assert read(pipe) == ["a\n", "b\n"]
    writer.join()


def test_an_empty_file_has_no_lines(tmp_path):
    assert read(write(tmp_path / "a.txt", b"")) == []


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        ("这家酒店的服务态度很好", "gb18030", "--encoding=gb18030"),
        ("這間酒店環境和服務態度亦算不錯", "big5", "--encoding=big5"),
        ("このホテルはとても良かったです", "shift_jis", "--encoding=shift_jis"),
        ("Ein schöner Film für die ganze Familie", "cp1252", "--encoding=cp1252"),
        ("un café très résumé", "latin-1", "--encoding=cp1252"),
    ],
)
def test_a_wrong_byte_names_the_line_and_the_likely_encoding(tmp_path, text, encoding, name):
    path = write(tmp_path / "a.tsv", b"first\r\nsecond\r\n" + text.encode(encoding) + b"\r\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}:3"
    assert "0x" in caught.value.what and name in caught.value.remedy


def test_a_wrong_byte_far_into_the_file_names_its_line(tmp_path):
    path = write(tmp_path / "a.tsv", "ä line\n".encode() * 5000 + b"\xe4\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}:5001" and "0xe4" in caught.value.what


def test_utf8_under_another_name_is_recognised(tmp_path):
    path = write(tmp_path / "a.tsv", "naïve – “quotes”".encode())
    with pytest.raises(DataError, match="--encoding=utf-8"):
        read(path, "ascii")


def test_the_guess_survives_a_character_cut_in_two():
    assert likely_encoding("程序员".encode("gb18030")[:-1]) == "gb18030"
    assert likely_encoding(b"plain") is None


def test_a_binary_file_is_refused(tmp_path):
    path = write(tmp_path / "model.txt", b"text\n\0\0\0\0\x01\0\0\0")
    with pytest.raises(DataError, match="not a text file") as caught:
        read(path)
    assert caught.value.where == f"{path}:2"


def test_a_workbook_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="Excel"):
        read(write(tmp_path / "a.csv", b"PK\x03\x04rest"))


def test_utf16_without_a_mark_is_recognised(tmp_path):
    path = write(tmp_path / "a.txt", "a plain text\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="--encoding=utf-16-le"):
        read(path)


def test_a_cut_archive_is_said_to_be_cut(tmp_path):
    whole = gzip.compress(b"".join(b"%d\n" % (i * 7919) for i in range(5000)))
    path = write(tmp_path / "a.gz", whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged or cut off"):
        read(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(DataError) as caught:
            read(path)
        assert caught.value.where == str(path)


@pytest.mark.parametrize("encoding", ["gbkk", "rot13", "hex"])
def test_an_unknown_encoding_is_refused(tmp_path, encoding):
    with pytest.raises(UsageError, match=encoding):
        read(write(tmp_path / "a.txt", b"a"), encoding)


def test_errors_of_the_block_pass_through(tmp_path):
    path = write(tmp_path / "a.txt", b"a\n")
    with pytest.raises(EOFError), open_text(path):
        raise EOFError


def test_a_line_of_many_megabytes_is_one_line(tmp_path):
    path = write(tmp_path / "a.txt", b"word " * 4_000_000)
    assert [len(line) for line in read(path)] == [20_000_000]


def zstd(data: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


def test_zstandard_reads_as_plain_text_frame_after_frame(tmp_path):
    text = "".join(f"文 {number * 7919}\n" for number in range(50_000))
    frames = [zstd(part.encode()) for part in (text[:1000], text[1000:])]
    assert "".join(read(write(tmp_path / "a.txt", b"".join(frames)))) == text


def test_what_is_packed_very_small_is_not_unpacked_at_once(tmp_path):
    path = write(tmp_path / "a.zst", zstd(b"a" * 300_000_000))
    tracemalloc.start()
    try:
        with open_text(path, max_characters=1000) as lines:
            assert [len(next(lines)) for _ in range(100)] == [1000] * 100
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:-4] + b"\0" * 4])
def test_zstandard_that_is_cut_or_altered_is_said_to_be(tmp_path, damage):
    package = pytest.importorskip("zstandard")
    whole = package.ZstdCompressor(write_checksum=True).compress(b"".join(b"%d\n" % i for i in range(5000)))
    with pytest.raises(DataError, match="damaged or cut off"):
        read(write(tmp_path / "a.zst", damage(whole)))


def test_zstandard_without_its_package_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = write(tmp_path / "a.zst", b"\x28\xb5\x2f\xfdrest")
    with pytest.raises(MissingExtraError, match=r"keras-bert-kit\[zst\]") as caught:
        read(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_long_line_comes_in_parts_of_which_the_last_has_the_end(tmp_path, end):
    path = write(tmp_path / "a.txt", f"文bcdefg{end}{end}hij{end}klm".encode("utf-8-sig"))
    with open_text(path, max_characters=3) as lines:
        parts = list(lines)
    assert "".join(parts).removeprefix("\ufeff") == "文bcdefg\n\nhij\nklm"
    assert max(map(len, parts)) == 3


def test_a_wrong_byte_after_a_line_in_parts_names_its_line(tmp_path):
    path = write(tmp_path / "a.txt", b"a" * 50_000 + b"\n" + b"b" * 50_000 + b"\xe4\n")
    with pytest.raises(DataError) as caught, open_text(path, max_characters=100) as lines:
        list(lines)
    assert caught.value.where == f"{path}:2"


def test_only_plain_utf8_may_be_read_from_anywhere(tmp_path):
    def is_plain(data, encoding=None):
        return is_plain_utf8(write(tmp_path / "a", data), encoding)

    assert is_plain(b"") and is_plain(b"text") and is_plain(b"\xef\xbb\xbftext") and is_plain(b"a", "UTF8")
    for data in (gzip.compress(b"a"), lzma.compress(b"a"), b"\x28\xb5\x2f\xfd", b"PK\x03\x04"):
        assert not is_plain(data)
    assert not any(is_plain("a".encode(name)) for name in ("utf-16", "utf-32"))
    assert not is_plain(b"a", "gb18030")
    os.mkfifo(tmp_path / "pipe")
    assert not is_plain_utf8(tmp_path / "pipe")
    for path, encoding, error in ((tmp_path / "none", None, DataError), (tmp_path / "a", "gbkk", UsageError)):
        with pytest.raises(error):
            is_plain_utf8(path, encoding)

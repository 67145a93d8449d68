"""Vocabulary files: read as they are, refused where they are ambiguous."""

import os

import pytest

from keras_bert.errors import VocabularyError
from keras_bert.text.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def written(tmp_path, content: bytes):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    return path


def test_an_id_is_the_place_in_the_file(tmp_path):
    vocabulary = Vocabulary.from_file(written(tmp_path, "\n".join([*SPECIAL, "un", "##aff", "中"]).encode()))
    assert len(vocabulary) == 8
    assert [vocabulary.id(piece) for piece in ("[PAD]", "un", "##aff", "中")] == [0, 5, 6, 7]
    assert (vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id, vocabulary.sep_id) == (0, 1, 2, 3)
    assert vocabulary.mask_id == 4
    assert "un" in vocabulary and "nu" not in vocabulary
    assert vocabulary.id("nu") == vocabulary.unk_id


def test_byte_order_mark_and_windows_line_ends_do_not_reach_the_pieces(tmp_path):
    content = b"\xef\xbb\xbf" + "\r\n".join([*SPECIAL, "a", ""]).encode()
    assert Vocabulary.from_file(written(tmp_path, content)).pieces == (*SPECIAL, "a")


def test_unicode_line_separator_is_a_piece_not_a_line_end(tmp_path):
    content = "\n".join([*SPECIAL, "\u2028", "b"]).encode()
    assert Vocabulary.from_file(written(tmp_path, content)).pieces[5:] == ("\u2028", "b")


def test_the_line_separator_that_a_stripping_writer_lost_is_put_back(tmp_path):
    # As in SimBERT's vocab.txt: bert4keras wrote Chinese BERT's piece U+2028 as a blank line.
    lost = [*SPECIAL, "\u2027", "", "b"]
    assert Vocabulary.from_file(written(tmp_path, "\n".join(lost).encode())).pieces[6] == "\u2028"
    for doubtful in (
        [*SPECIAL, "a", "", "b"],
        [*lost, "", "c"],
        [*lost, "\u2028"],
        [*SPECIAL, "\u2027", "", ""],
    ):
        with pytest.raises(VocabularyError, match="blank line"):
            Vocabulary.from_file(written(tmp_path, "\n".join(doubtful).encode()))


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "vocab.txt")
    with pytest.raises(VocabularyError, match="no regular file"):
        Vocabulary.from_file(tmp_path / "vocab.txt")


def test_mask_token_may_be_absent():
    assert Vocabulary(SPECIAL[:4]).mask_id is None


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[PAD]\n[UNK]\n\n[CLS]\n[SEP]\n", ":3"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n\n", ":5"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n", ":7"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n\xff\n", ":5"),
    ],
    ids=["blank line", "blank last line", "duplicate", "not UTF-8"],
)
def test_what_is_ambiguous_is_refused_with_its_line(tmp_path, content, line):
    path = written(tmp_path, content)
    with pytest.raises(VocabularyError) as caught:
        Vocabulary.from_file(path)
    assert caught.value.where == f"{path}{line}"


@pytest.mark.parametrize("missing", SPECIAL[:4])
def test_missing_special_token_is_named(missing):
    with pytest.raises(VocabularyError, match=missing.strip("[]")):
        Vocabulary([piece for piece in SPECIAL if piece != missing])


def test_missing_file_is_a_vocabulary_error(tmp_path):
    with pytest.raises(VocabularyError, match="absent.txt"):
        Vocabulary.from_file(tmp_path / "absent.txt")


def test_saved_vocabulary_reads_back_equal(tmp_path):
    vocabulary = Vocabulary([*SPECIAL, "é", "##\u2028", "中"])
    vocabulary.save(tmp_path / "vocab.txt")
    assert Vocabulary.from_file(tmp_path / "vocab.txt") == vocabulary
    assert (tmp_path / "vocab.txt").read_bytes().endswith("中\n".encode())

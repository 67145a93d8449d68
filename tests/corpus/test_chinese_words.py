"""Chinese words, by a list and by jieba, and which pieces they hold together."""

import importlib.util
import random
import subprocess
import sys
import time

import pytest

from keras_bert.corpus.chinese_words import continues_word, word_cutter
from keras_bert.errors import DataError, MissingExtraError
from keras_bert.text.tokenizer import Tokenizer


def listed(tmp_path, lines: str, text: str) -> list[str]:
    """The words found by a list."""
    path = tmp_path / "words.txt"
    path.write_text(lines, encoding="utf-8")
    return [text[start:end] for start, end in word_cutter(str(path))(text)]


def test_the_fewest_words_are_found_and_few_characters_left_alone(tmp_path):
    words = "研究\n研究生\n生命\n起源\n"
    assert listed(tmp_path, words, "研究生命起源") == ["研究", "生命", "起源"]
    assert listed(tmp_path, words, "我研究生") == ["研究生"]
    assert listed(tmp_path, words, "命起 abc 源") == []
    assert listed(tmp_path, words, "") == []


def test_where_all_is_equal_the_longest_word_comes_first(tmp_path):
    assert listed(tmp_path, "甲乙\n乙丙丁\n甲乙丙\n丙丁\n丁\n甲\n", "甲乙丙丁") == ["甲乙丙"]


def test_counts_decide_between_divisions(tmp_path):
    text = "发展中国家"
    assert listed(tmp_path, "发展 100 v\n中国\t9\n国家 1000\n发展中 2\n中 90\n", text) == ["发展", "国家"]
    assert listed(tmp_path, "发展 100 v\n中国\t9000\n国家 1 n\n发展中 2\n", text) == ["发展", "中国"]


def test_a_mark_and_blank_lines_in_the_list_are_no_words(tmp_path):
    assert listed(tmp_path, "\ufeff程序\n\n  \n员\n", "程序员") == ["程序"]


@pytest.mark.parametrize("lines", ["", "我\n是 7\n"])
def test_a_list_without_a_word_of_several_characters_is_refused(tmp_path, lines):
    with pytest.raises(DataError, match="no word of more than one character"):
        listed(tmp_path, lines, "我")


def test_a_list_that_is_no_utf8_names_its_encoding(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("中国人民\n今天天气很好\n".encode("gb18030"))
    with pytest.raises(DataError, match="GBK"):
        word_cutter(str(path))
    with pytest.raises(DataError, match="cannot be read"):
        word_cutter(str(tmp_path / "absent.txt"))


def best_by_trying_all(words: dict[str, int], text: str) -> float:
    """The largest product of shares over all divisions, by recursion."""
    total = sum(words.values())
    if not text:
        return 1.0
    return max(
        (words.get(text[:n], 1 if n == 1 else 0) / total) * best_by_trying_all(words, text[n:])
        for n in range(1, len(text) + 1)
        if n == 1 or text[:n] in words
    )


def test_no_division_is_more_probable_than_the_one_found(tmp_path):
    rng = random.Random(1)
    for _ in range(60):
        words = {"".join(rng.choices("甲乙丙", k=rng.randint(2, 4))): rng.randint(1, 50) for _ in range(6)}
        text = "".join(rng.choices("甲乙丙", k=9))
        (tmp_path / "w.txt").write_text("".join(f"{word} {count}\n" for word, count in words.items()))
        share, place = 1.0, 0
        for start, end in [*word_cutter(str(tmp_path / "w.txt"))(text), (len(text), len(text))]:
            share *= (1 / sum(words.values())) ** (start - place)
            share *= words[text[start:end]] / sum(words.values()) if end > start else 1
            place = end
        assert share == pytest.approx(best_by_trying_all(words, text), rel=1e-4)


def test_time_grows_with_the_text_only(tmp_path):
    begun = time.process_time()
    assert len(listed(tmp_path, "甲甲\n" + "甲" * 20 + "\n", "甲" * 200_000)) == 10_000
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "pieces", "words", "expected"),
    [
        ("我是程序员", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], [(2, 5)], "00011"),
        ("中国人民", [(0, 1), (1, 2), (2, 3), (3, 4)], [(0, 2), (2, 4)], "0101"),  # neighbours stay apart
        ("中 国", [(0, 1), (2, 3)], [(0, 3)], "01"),
        ("T恤衫", [(0, 1), (1, 2), (2, 3)], [(0, 3)], "011"),
        ("a well known", [(0, 1), (2, 6), (7, 12)], [(2, 12)], "000"),  # a word of ASCII
        ("中国", [(1, 2)], [(0, 2)], "0"),  # the first character has no piece
        ("中国", [(0, 2)], [(0, 2)], "0"),
        ("中㍿国", [(0, 1), (1, 2), (1, 2), (2, 3)], [(1, 3)], "0011"),  # a character of two pieces
        ("中国", [], [(0, 2)], ""),
        ("中国", [(0, 1), (1, 2)], [], "00"),
    ],
)
def test_a_piece_goes_on_with_the_word_of_the_piece_before(text, pieces, words, expected):
    found = continues_word(text, pieces, words)
    assert "".join(str(int(flag)) for flag in found) == expected


def test_the_offsets_of_our_tokenizer_fit(tmp_path):
    (tmp_path / "words.txt").write_text("程序员\n喜欢\n", encoding="utf-8")
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我是程序员喜欢", "py", "##thon"])
    text = "我是 程序员，喜欢Python"
    encoding = tokenizer.encode(text, special_tokens=False)
    flags = continues_word(text, encoding.offsets, word_cutter(str(tmp_path / "words.txt"))(text))
    tokens = tokenizer.tokenize(text)
    assert [token for token, flag in zip(tokens, flags, strict=True) if flag] == ["序", "员", "欢"]


needs_jieba = pytest.mark.skipif(importlib.util.find_spec("jieba") is None, reason="jieba is not installed")


@needs_jieba
def test_jieba_finds_words_and_says_nothing(tmp_path):
    script = "\n".join(
        [
            "import warnings, tempfile, os",
            "warnings.simplefilter('error')",
            "from keras_bert.corpus.chinese_words import word_cutter",
            "text = '我来到北京清华大学 abc'",
            "words = [text[a:b] for a, b in word_cutter('jieba')(text)]",
            "assert words[:3] == ['来到', '北京', '清华大学'], words",
            "assert word_cutter('jieba')('ascii only') == []",
            "assert os.listdir(tempfile.gettempdir()) == []",  # and leaves no dictionary there
        ]
    )
    environment = {"PATH": "", "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_jieba_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(MissingExtraError, match="pip install jieba"):
        word_cutter("jieba")

"""The review sentences that the quickstart trains on: written for this package, balanced, without repeats."""

import collections
import importlib.resources
import itertools
import re

import pytest

LINES = {"reviews_train.tsv": 320, "reviews_eval.tsv": 120}
CHINESE = {"reviews_zh_train.tsv": 320, "reviews_zh_eval.tsv": 120}
LABELS = {**dict.fromkeys(LINES, ("positive", "negative")), **dict.fromkeys(CHINESE, ("好评", "差评"))}


def content(name: str) -> str:
    """The text of a bundled file, with its line ends as they are."""
    return importlib.resources.files("keras_bert.recipes").joinpath(name).read_bytes().decode("utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of every line after the header."""
    return [line.split("\t") for line in content(name).split("\n")[1:-1]]


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w']+", text.lower()))


def letter_pairs(text: str) -> set[str]:
    """Chinese has no blanks between its words: pairs of neighbouring letters, punctuation left out."""
    return {a + b for a, b in itertools.pairwise(re.findall(r"\w", text))}


def overlap(a: set, b: set) -> float:
    """Jaccard index of two sets: 1 for the same, 0 for none in common."""
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("name", LABELS)
def test_file_is_a_plain_table_with_a_header_and_a_final_newline(name):
    text = content(name)
    assert text.startswith("text\tlabel\n") and text.endswith("\n")
    assert not set(text) & set('\r\ufeff\u2028\x0b\x0c\x85"')
    assert all(len(row) == 2 and row[0] == row[0].strip() for row in rows(name))


@pytest.mark.parametrize(("name", "count"), [*LINES.items(), *CHINESE.items()])
def test_both_labels_have_half_of_the_lines(name, count):
    labels = collections.Counter(label for _, label in rows(name))
    assert labels == dict.fromkeys(LABELS[name], count // 2)


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_mixed_from_the_first_lines_on(name):
    assert {label for _, label in rows(name)[:8]} == set(LABELS[name])


@pytest.mark.parametrize("name", LINES)
def test_texts_have_from_3_to_40_words_and_both_short_and_long_ones_are_there(name):
    lengths = [len(text.split()) for text, _ in rows(name)]
    assert min(lengths) >= 3 and max(lengths) <= 40
    assert min(lengths) <= 5 and max(lengths) >= 30


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_texts_have_from_8_to_60_characters_and_both_short_and_long_ones_are_there(name):
    lengths = [len(text) for text, _ in rows(name)]
    assert min(lengths) >= 8 and max(lengths) <= 60
    assert min(lengths) <= 10 and max(lengths) >= 50


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_texts_have_digits_latin_words_full_width_and_traditional_characters(name):
    texts = [text for text, _ in rows(name)]
    for wanted in ("[A-Za-z]", "[，。！？：；]", "[這們說個樣來買]"):
        assert sum(bool(re.search(wanted, text)) for text in texts) >= 3, wanted
    assert all(re.search("[\u4e00-\u9fff]", text) for text in texts)


@pytest.mark.parametrize(
    ("files", "parts", "limit"), [(LINES, words, 0.6), (CHINESE, letter_pairs, 0.3)], ids=["en", "zh"]
)
def test_no_two_texts_are_nearly_the_same(files, parts, limit):
    texts = [text for name in files for text, _ in rows(name)]
    sets = list(map(parts, texts))
    assert [(texts[i], texts[j]) for i, j in itertools.combinations(range(len(texts)), 2)
            if overlap(sets[i], sets[j]) >= limit] == []  # fmt: skip


@pytest.mark.parametrize(
    ("name", "length"), [("reviews_train.tsv", lambda text: len(text.split())), ("reviews_zh_train.tsv", len)]
)
def test_the_length_of_a_text_does_not_give_its_label_away(name, length):
    lengths = {label: [] for label in LABELS[name]}
    for text, label in rows(name):
        lengths[label].append(length(text))
    first, second = (sum(values) / len(values) for values in lengths.values())
    assert 0.8 < first / second < 1.25

"""The review sentences that the quickstart trains on: written for this package, balanced, without repeats."""

import collections
import importlib.resources
import itertools
import re

import pytest

LINES = {"reviews_train.tsv": 320, "reviews_eval.tsv": 120}


def content(name: str) -> str:
    """The text of a bundled file, with its line ends as they are."""
    return importlib.resources.files("keras_bert.recipes").joinpath(name).read_bytes().decode("utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of every line after the header."""
    return [line.split("\t") for line in content(name).split("\n")[1:-1]]


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w']+", text.lower()))


def overlap(a: str, b: str) -> float:
    """Jaccard index of the two texts' word sets: 1 for the same words, 0 for none in common."""
    return len(words(a) & words(b)) / len(words(a) | words(b))


@pytest.mark.parametrize("name", LINES)
def test_file_is_a_plain_table_with_a_header_and_a_final_newline(name):
    text = content(name)
    assert text.startswith("text\tlabel\n") and text.endswith("\n")
    assert not set(text) & set('\r\ufeff\u2028\x0b\x0c\x85"')
    assert all(len(row) == 2 and row[0] == row[0].strip() for row in rows(name))


@pytest.mark.parametrize(("name", "count"), LINES.items())
def test_both_labels_have_half_of_the_lines(name, count):
    labels = collections.Counter(label for _, label in rows(name))
    assert labels == {"positive": count // 2, "negative": count // 2}


@pytest.mark.parametrize("name", LINES)
def test_labels_are_mixed_from_the_first_lines_on(name):
    assert {label for _, label in rows(name)[:8]} == {"positive", "negative"}


@pytest.mark.parametrize("name", LINES)
def test_texts_have_from_3_to_40_words_and_both_short_and_long_ones_are_there(name):
    lengths = [len(text.split()) for text, _ in rows(name)]
    assert min(lengths) >= 3 and max(lengths) <= 40
    assert min(lengths) <= 5 and max(lengths) >= 30


def test_no_two_texts_are_nearly_the_same():
    texts = [text for name in LINES for text, _ in rows(name)]
    assert [pair for pair in itertools.combinations(texts, 2) if overlap(*pair) >= 0.6] == []


def test_the_length_of_a_text_does_not_give_its_label_away():
    lengths = {"positive": [], "negative": []}
    for text, label in rows("reviews_train.tsv"):
        lengths[label].append(len(text.split()))
    positive, negative = (sum(values) / len(values) for values in lengths.values())
    assert 0.8 < positive / negative < 1.25

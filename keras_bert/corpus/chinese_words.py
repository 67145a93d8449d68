"""Chinese words, for masking them as wholes: BERT's tokeniser makes a piece of every character.

我是程序员  --word_cutter-->  (2, 5)  --continues_word-->  pieces 我 是 程 序 员: no, no, no, yes, yes
"""

import logging
import math
import warnings
from collections.abc import Callable, Sequence

from keras_bert.errors import DataError, MissingExtraError
from keras_bert.files.encodings import open_text

Span = tuple[int, int]
_SCALE = 1_000_000


def word_cutter(source: str) -> Callable[[str], list[Span]]:
    """The function that finds the words of a text.

    Args:
        source: str. `"jieba"`, or the path of a word list: a word a line, and after white space perhaps how
            often it occurs (what follows is ignored, such as the part of speech in jieba's dictionaries).

    Returns:
        Callable: text -> list of (start, end) in characters, ascending, of the words of more than one.

    Raises:
        MissingExtraError: jieba is not installed.
        DataError: a list that cannot be read, or has no word of several characters.
    """
    return _jieba() if source == "jieba" else WordList(source)


def _jieba() -> Callable[[str], list[Span]]:
    try:
        with warnings.catch_warnings():  # its source has escapes that Python 3.12 warns of
            warnings.simplefilter("ignore")
            import jieba
    except ImportError as error:
        raise MissingExtraError(
            "jieba, which finds the words, is not installed",
            where="--chinese_words=jieba",
            expected="jieba, or the path of a list with a word a line",
            remedy="pip install jieba",
        ) from error
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # By itself it keeps its dictionary in the folder for temporary files, in a format not safe to read, where
    # anyone may have put another: the second that this saves is not worth it.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True

    def spans(text: str) -> list[Span]:
        found = tokenizer.tokenize(text) if not text.isascii() else ()
        return [(start, end) for _, start, end in found if end - start > 1]

    return spans


class WordList:
    """The words of a text by a list of words: the most probable division of each run of its words.

    A word's probability is its share of all occurrences; words without a count occur twice, characters that
    are no word of the list once. So a list without counts gives the fewest words, and among equals those
    with fewer characters left alone, and then the longest first.

        words = WordList("words.txt")      # 研究 研究生 生命 起源
        words("研究生命起源")               # [(0, 2), (2, 4), (4, 6)]

    Args:
        path: str. As `word_cutter` takes it.
    """

    def __init__(self, path: str):
        counts: dict[str, int] = {}
        with open_text(path) as lines:
            for line in lines:
                if fields := line.split():
                    has_count = len(fields) > 1 and fields[1].isascii() and fields[1].isdigit()
                    counts[fields[0]] = max(1, int(fields[1])) if has_count else 2
        if all(len(word) == 1 for word in counts):
            raise DataError(
                "There is no word of more than one character in this list",
                where=str(path),
                expected="a word a line, perhaps with how often it occurs after it",
            )
        total = sum(counts.values())
        # Minus the logarithms of the shares, in integers, so that what is equal is so on every machine.
        self._costs = {word: round(_SCALE * math.log(total / count)) for word, count in counts.items()}
        self._alone = round(_SCALE * math.log(total))  # of a character that is no word
        # By its first character, the lengths of the words that are longer.
        lengths: dict[str, set[int]] = {}
        for word in counts:
            if len(word) > 1:
                lengths.setdefault(word[0], set()).add(len(word))
        self._lengths = {first: tuple(sorted(some)) for first, some in lengths.items()}

    def __call__(self, text: str) -> list[Span]:
        """The (start, end) of the words of more than one character."""
        costs, ends = [0] * (len(text) + 1), [0] * len(text)  # the best division of what begins here
        for start in range(len(text) - 1, -1, -1):
            first = text[start]
            best, best_end = self._costs.get(first, self._alone) + costs[start + 1], start + 1
            for length in self._lengths.get(first, ()):
                end = start + length
                if end > len(text):
                    break
                cost = self._costs.get(text[start:end])
                if cost is not None and cost + costs[end] <= best:
                    best, best_end = cost + costs[end], end
            costs[start], ends[start] = best, best_end
        spans, start = [], 0
        while start < len(text):
            if ends[start] - start > 1:
                spans.append((start, ends[start]))
            start = ends[start]
        return spans


def continues_word(text: str, spans_of_pieces: Sequence[Span], words: Sequence[Span]) -> list[bool]:
    """For every piece, whether it goes on with the word of the piece before it.

    Words of ASCII are left out, as jieba finds some: their pieces say by ## what belongs together.

    Args:
        text: str.
        spans_of_pieces: sequence of (start, end). Ascending, as a tokeniser gives them.
        words: sequence of (start, end). Ascending and apart, as a word cutter gives them.

    Returns:
        List of bool, one for each piece: it begins within a word that the piece before it is in too.
    """
    words = [(start, end) for start, end in words if not text[start:end].isascii()]
    continues, number, before = [], 0, 0
    for start, end in spans_of_pieces:
        while number < len(words) and words[number][1] <= start:
            number += 1
        # `before` is where the piece before it ends; to be in the word it ends after the word's begin.
        continues.append(number < len(words) and words[number][0] <= start and before > words[number][0])
        before = end
    return continues

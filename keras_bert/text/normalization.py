"""Raw text to words that WordPiece can cut: Google's `BasicTokenizer`, with every character's origin kept.

    "Héllo,\\u4e16" -> hello | , | 世        origins [0 1 2 3 4] [5] [6]

Nothing that Google's tokeniser does reaches across whitespace or across an ideograph, so a text is cut
into chunks there first, and what is known about one chunk holds wherever it occurs.
"""

import functools
import re
from typing import NamedTuple

from keras_bert.errors import UsageError
from keras_bert.text import unicode_table as unicode
from keras_bert.text.unicode_table import CASED, CHINESE, IGNORABLE, MARK, PUNCTUATION, REMOVED, SPACE
from keras_bert.text.wordpiece import MAX_WORD_LENGTH

CAPITAL_SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"
_ASCII_WORDS = re.compile(r"[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~]+")
_PLAIN_ASCII = re.compile(r"[!-~]*")


class Word(NamedTuple):
    """One word, ready to be cut into pieces.

    Args:
        text: str. The normalised characters.
        starts: sequence of int. Where each character's origin starts in the chunk.
        ends: sequence of int. Where it ends, stripped marks that follow included.
    """

    text: str
    starts: list[int] | range
    ends: list[int] | range


class _Tables(NamedTuple):
    """What a normaliser looks up; the same for all of one setting, and 25 ms of work.

    Args:
        flags: bytes. The flags of every code point (`unicode_table`).
        forms: dict. Character to its normal form.
        marks: frozenset of the characters that are stripped.
        combining: dict. Character to its canonical combining class.
        movers: set of the characters that may change places with marks.
        chunks: pattern of one chunk.
    """

    flags: bytes
    forms: dict[str, str]
    marks: frozenset[str]
    combining: dict[str, int]
    movers: set[str]
    chunks: re.Pattern


@functools.cache
def _tables(lowercase: bool, strip_accents: bool, split_chinese: bool) -> _Tables:
    table = unicode.unicode_table()
    points = unicode.normal_forms(lowercase, strip_accents)
    forms = {chr(point): "".join(map(chr, form)) for point, form in points.items()}
    marks = frozenset(map(chr, table.members(MARK).tolist() if strip_accents else []))
    combining = {chr(point): order for point, order in table.combining.items()} if strip_accents else {}
    movers = {char for char in combining if char not in marks}
    movers |= {char for char, form in forms.items() if not movers.isdisjoint(form)}
    space, chinese = table.character_class(SPACE), table.character_class(CHINESE)
    pattern = f"[{chinese}]|[^{space}{chinese}]+" if split_chinese else f"[^{space}]+"
    return _Tables(table.flags.tobytes(), forms, marks, combining, movers, re.compile(pattern))


class Normalizer:
    """Cuts text into chunks, and a chunk into normalised words.

    Args:
        lowercase: bool. Map to lower case.
        strip_accents: bool. Decompose (NFD) and drop the non-spacing marks.
        split_chinese: bool. Make every ideograph a word of its own.
        never_split: iterable of str. Whitespace-delimited words to leave exactly as they are.

    Raises:
        UsageError: a word of `never_split` is empty, too long, or starts with a mark that would be stripped.
    """

    def __init__(self, lowercase: bool, strip_accents: bool, split_chinese: bool, never_split=()):
        tables = _tables(lowercase, strip_accents, split_chinese)
        self._flags, self._forms, self._marks, self._combining, self._movers, self._chunks = tables
        self._lowercase = lowercase
        self._never_split = frozenset(never_split)
        for word in self._never_split:
            if not 0 < len(word) <= MAX_WORD_LENGTH or word[0] in self._marks:
                raise UsageError(
                    f"the word {word[:20]!r} of {len(word)} characters cannot be kept",
                    where="never_split",
                    expected=f"1 to {MAX_WORD_LENGTH} characters, the first no accent",
                )

    def chunks(self, text: str):
        """Matches of the chunks of `text`: what lies between spaces, and every ideograph."""
        return self._chunks.finditer(text)

    def chunk_texts(self, text: str) -> list[str]:
        """The chunks of `text` without their places."""
        return self._chunks.findall(text)

    def ascii_words(self, chunk: str) -> list[str] | None:
        """The normalised words of a chunk of plain ASCII; None where it takes more than cutting."""
        if self._never_split or not _PLAIN_ASCII.fullmatch(chunk):
            return None
        return _ASCII_WORDS.findall(chunk.lower() if self._lowercase else chunk)

    def words(self, chunk: str) -> list[Word]:
        """The normalised words of one chunk.

        Stripped marks belong to the character before them; those that `num_leading_marks` counts belong to
        an ideograph, which is the chunk before.
        """
        if self._never_split and (kept := self._kept_whole(chunk)):
            return [kept]
        if _PLAIN_ASCII.fullmatch(chunk):
            text = chunk.lower() if self._lowercase else chunk
            return [
                Word(match[0], range(match.start(), match.end()), range(match.start() + 1, match.end() + 1))
                for match in _ASCII_WORDS.finditer(text)
            ]
        return self._split_punctuation(*self._normalize(chunk))

    def num_leading_marks(self, chunk: str) -> int:
        """How many marks at the start of the chunk will be stripped."""
        if chunk[0] not in self._marks:
            return 0
        return next((place for place, char in enumerate(chunk) if char not in self._marks), len(chunk))

    def is_kept_whole(self, word: str) -> bool:
        """Whether `word` is one that is never split."""
        return word in self._never_split

    def _kept_whole(self, chunk: str) -> Word | None:
        origins = [index for index, char in enumerate(chunk) if not self._flags[ord(char)] & REMOVED]
        text = "".join(chunk[index] for index in origins)
        if text in self._never_split:
            return Word(text, origins, [index + 1 for index in origins])
        return None

    def _normalize(self, chunk: str) -> tuple[str, list[int], list[int]]:
        """The characters of the chunk after lower case, decomposition and stripping, and their origins."""
        if self._lowercase and CAPITAL_SIGMA in chunk:
            chunk = self._place_final_sigmas(chunk)
        forms, marks = self._forms, self._marks
        chars, starts, ends = [], [], []
        for index, char in enumerate(chunk):
            form = forms.get(char, char)
            if form:
                chars += form
                starts += [index] * len(form)
                ends += [index + 1] * len(form)
            elif char in marks and ends and ends[-1] == index:
                # "e" + U+0301: the accent is dropped, but belongs to what a user would highlight.
                origin = starts[-1]
                for k in range(len(ends) - 1, -1, -1):
                    if starts[k] != origin:
                        break
                    ends[k] = index + 1
        if not self._movers.isdisjoint(chunk):
            chars = self._in_canonical_order(chunk)
        return "".join(chars), starts, ends

    def _place_final_sigmas(self, chunk: str) -> str:
        """Replaces the capital sigmas that end a word by the lower-case final form, as `str.lower` does.

        A sigma is final after a cased character and not before one; ignorable characters are looked
        through, and removed ones are already gone when Google's tokeniser lower-cases.
        """
        visible = [
            (index, bool(self._flags[ord(char)] & CASED))
            for index, char in enumerate(chunk)
            if not self._flags[ord(char)] & (IGNORABLE | REMOVED)
        ]
        chars = list(chunk)
        for place, (index, _) in enumerate(visible):
            if chunk[index] == CAPITAL_SIGMA:
                after_cased = place > 0 and visible[place - 1][1]
                before_cased = place + 1 < len(visible) and visible[place + 1][1]
                if after_cased and not before_cased:
                    chars[index] = FINAL_SIGMA
        return "".join(chars)

    def _in_canonical_order(self, chunk: str) -> list[str]:
        """The surviving characters, runs of combining ones sorted by class (NFD's canonical ordering).

        Only two dozen combining characters survive the stripping of marks (viramas, Hangul tone marks,
        musical stems), so this is rare. The origins keep their order: a run covers the same stretch of
        the text either way.
        """
        ordered, run = [], []
        for char in chunk:
            form = self._forms.get(char, char)
            if not form and char in self._marks and self._starts_run(char):
                ordered += sorted(run, key=self._combining.get)
                run = []
            for part in form:
                if part in self._combining:
                    run.append(part)
                else:
                    ordered += [*sorted(run, key=self._combining.get), part]
                    run = []
        return ordered + sorted(run, key=self._combining.get)

    def _starts_run(self, mark: str) -> bool:
        decomposed = unicode.unicode_table().decomposition.get(ord(mark), (ord(mark),))
        return any(chr(part) not in self._combining for part in decomposed)

    def _split_punctuation(self, text: str, starts: list[int], ends: list[int]) -> list[Word]:
        words, begin = [], 0
        for place, char in enumerate(text):
            if self._flags[ord(char)] & PUNCTUATION:
                if place > begin:
                    words.append(Word(text[begin:place], starts[begin:place], ends[begin:place]))
                words.append(Word(char, starts[place : place + 1], ends[place : place + 1]))
                begin = place + 1
        if begin < len(text):
            words.append(Word(text[begin:], starts[begin:], ends[begin:]))
        return words

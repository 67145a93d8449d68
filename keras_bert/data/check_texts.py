"""What the texts of a data set are like: lengths in characters and in pieces, and signs of damage."""

import html.entities
import re
import unicodedata
from array import array
from collections import Counter

import numpy as np

QUANTILES = (50, 90, 95, 99)
SHORT, LONG = 3, 10_000  # characters: fewer than, more than
NUM_EXAMPLES = 5
_MULTIPLE, _LONGEST = 16, 512  # of the suggested length; the positions of nearly every BERT
_ROWS_WITH_UNKNOWN = 500  # in which the unknown words are looked up
_EXCERPT = 60

# UTF-8 that was read as Windows-1252: a lead byte and what continues it. Verified by going back.
_MISREAD = re.compile("[\u00c2-\u00f4][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]+")
# The same after lower-casing, which cannot be gone back from; and what GBK makes of U+FFFD and of a quote.
_MISREAD_FOR_CERTAIN = re.compile("ã[©¨¡¢£¤¥§®¯°±²³´µ¶·¸¹¼½¾¿]|â€|锟斤拷|鈥")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|br|hr|em|strong|div|span|img|font|table|tr|td|th|li|ul|ol|h[1-6]|script|style|su[bp])"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def normalised(text: str) -> str:
    """The text as near-duplicates share it: NFKC, case folded, white space collapsed."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def excerpt(text: str, text_pair: str | None = None) -> str:
    """The beginning of a text, or of both of a pair."""
    parts = [text, text_pair] if text_pair is not None else [text]
    length = _EXCERPT // len(parts)
    parts = [" ".join(part[: 2 * _EXCERPT].split()) for part in parts]
    return " | ".join(part if len(part) <= length else part[: length - 1] + "…" for part in parts)


def damage(text: str) -> list[str]:
    """The signs of damage that a text shows: of "replacement_character", "mojibake", "html"."""
    signs = []
    if not text.isascii():
        if "\ufffd" in text:
            signs.append("replacement_character")
        if _MISREAD_FOR_CERTAIN.search(text) or any(map(_is_misread, _MISREAD.findall(text))):
            signs.append("mojibake")
    if "&" in text and any(not n or f"{n};" in html.entities.html5 for n in _ENTITY.findall(text)):
        signs.append("html")
    elif "<" in text and _TAG.search(text):
        signs.append("html")
    return signs


def _is_misread(run: str) -> bool:
    """Whether the characters are the bytes of a character in UTF-8."""
    data = b"".join(_byte(character) for character in run)
    for length in range(2, min(len(data), 4) + 1):  # what follows may be genuine
        try:
            return bool(data[:length].decode())
        except UnicodeDecodeError:
            continue
    return False


def _byte(character: str) -> bytes:
    return bytes([ord(character)]) if ord(character) < 256 else character.encode("cp1252")


def quantiles(lengths) -> dict:
    """Lengths that so many per cent of the rows do not exceed, and the greatest: ints."""
    values = np.sort(np.asarray(lengths))
    found = np.quantile(values, [q / 100 for q in QUANTILES], method="inverted_cdf")
    return {**{str(q): int(n) for q, n in zip(QUANTILES, found, strict=True)}, "max": int(values[-1])}


def suggested_length(needed: int) -> int:
    """The least length worth choosing that holds so many pieces, as far as BERTs go."""
    return min(-(-needed // _MULTIPLE) * _MULTIPLE, _LONGEST)


class TextStatistics:
    """Counts over the texts of one file.

    Args:
        tokenizer: `Tokenizer` or None. Without it nothing is counted in pieces.
        max_length: int. Pieces a sequence may have, special tokens included.
    """

    def __init__(self, tokenizer=None, max_length: int = 128):
        self._tokenizer, self._max_length = tokenizer, max_length
        self._characters, self._tokens = array("q"), array("q")
        self._odd = {}  # kind -> [count, examples]
        self._num_pieces = self._num_unknown = self._rows_with_unknown = 0
        self._unknown = Counter()

    def add(self, where: str, text: str, text_pair: str | None):
        """Counts one row."""
        both = (text,) if text_pair is None else (text, text_pair)
        self._characters.append(sum(map(len, both)))
        signs = [sign for part in both for sign in damage(part)]
        if len(text) < SHORT:
            signs.append("short")
        elif not _LETTER_OR_DIGIT.search(text):
            signs.append("wordless")
        if self._characters[-1] > LONG:
            signs.append("long")
        for sign in dict.fromkeys(signs):
            found = self._odd.setdefault(sign, [0, []])
            found[0] += 1
            if len(found[1]) < NUM_EXAMPLES:
                found[1].append({"places": [where], "text": _shown(sign, both)})
        if self._tokenizer is not None:
            self._add_pieces(both)

    def _add_pieces(self, both):
        length, unknown = 1 + len(both), 0  # [CLS], and [SEP] behind each text
        for part in both:
            ids = self._tokenizer.ids(part)
            length += len(ids)
            unknown += ids.count(self._tokenizer.vocabulary.unk_id)
        self._tokens.append(length)
        self._num_pieces += length - 1 - len(both)
        self._num_unknown += unknown
        if unknown:
            self._rows_with_unknown += 1
            if self._rows_with_unknown <= _ROWS_WITH_UNKNOWN:
                self._unknown.update(word for part in both for word in self._unknown_words(part))

    def _unknown_words(self, text):
        encoding = self._tokenizer.encode(text, special_tokens=False)
        unknown = self._tokenizer.vocabulary.unk_id
        for index, (start, end) in zip(encoding.token_ids, encoding.offsets, strict=True):
            if index == unknown:
                yield text[start:end][:_EXCERPT]

    def report(self) -> dict:
        """{"characters": quantiles, "odd": {kind: {"rows", "examples"}}} and, with a tokeniser, "tokens"."""
        odd = {kind: {"rows": rows, "examples": examples} for kind, (rows, examples) in self._odd.items()}
        report = {"characters": quantiles(self._characters), "odd": odd}
        if self._tokens:
            lengths = np.asarray(self._tokens)
            found = quantiles(lengths)
            report["tokens"] = {
                "lengths": found,
                "truncated": int((lengths > self._max_length).sum()),
                "unknown_share": self._num_unknown / max(1, self._num_pieces),
                "rows_with_unknown": self._rows_with_unknown,
                "unknown_words": [word for word, _ in self._unknown.most_common(10)],
            }
        return report


def _shown(sign: str, both) -> str:
    """The stretch of a text that shows the sign of damage, or its beginning."""
    patterns = {"replacement_character": ("\ufffd",), "html": (_ENTITY, _TAG)}
    patterns["mojibake"] = (_MISREAD_FOR_CERTAIN, _MISREAD)
    for pattern in patterns.get(sign, ()):
        for part in both:
            found = re.search(pattern, part)
            if found and sign in damage(part):
                start = max(0, found.start() - _EXCERPT // 3)
                return ("…" if start else "") + excerpt(part[start:])
    return excerpt(*both)

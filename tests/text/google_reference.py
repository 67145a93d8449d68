"""The oracle: the rules of Google's tokenization.py, written with Python's own string methods.

Only right where Python knows Unicode 14 (3.11): `knows_unicode_14`. Slow and without offsets, but every rule
is one line that can be held against the original.
"""

import unicodedata

CHINESE = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

knows_unicode_14 = unicodedata.unidata_version == "14.0.0"


def clean(text: str, split_chinese: bool) -> str:
    result = ""
    for char in text:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            result += " "
        elif char in "\0\ufffd" or category in ("Cc", "Cf", "Cs"):
            continue
        elif split_chinese and any(first <= ord(char) <= last for first, last in CHINESE):
            result += f" {char} "
        else:
            result += char
    return result


def is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] == "P" or char in "$+<=>^`|~"


def words(text: str, lowercase=True, strip_accents=None, split_chinese=True, never_split=()) -> list[str]:
    """The words of BasicTokenizer, with the options that Hugging Face added."""
    strip_accents = lowercase if strip_accents is None else strip_accents
    result = []
    for word in clean(text, split_chinese).split():
        if word in never_split:
            result.append(word)
            continue
        if lowercase:
            word = word.lower()
        if strip_accents:
            word = "".join(
                char for char in unicodedata.normalize("NFD", word) if unicodedata.category(char) != "Mn"
            )
        spaced = "".join(f" {char} " if is_punctuation(char) else char for char in word)
        result += spaced.split()
    return result


def cut(word: str, pieces, longest_word: int = 200) -> list[str]:
    """The pieces of WordPiece: greedy, longest first."""
    result, rest = [], word
    while rest:
        prefix = "##" if result else ""
        ends = [end for end in range(len(rest), 0, -1) if prefix + rest[:end] in pieces]
        if not ends or len(word) > longest_word:
            return ["[UNK]"]
        result.append(prefix + rest[: ends[0]])
        rest = rest[ends[0] :]
    return result


def tokenize(text: str, pieces, never_split=(), **options) -> list[str]:
    """The pieces of FullTokenizer."""
    result = []
    for word in words(text, never_split=never_split, **options):
        if word in never_split:
            result.append(word if word in pieces else "[UNK]")
        else:
            result += cut(word, pieces)
    return result

"""Bakes `keras_bert/text/unicode_14.npz`: what Google's tokeniser asks of Unicode, for every code point.

Run with Python 3.11, whose `unicodedata` is the Unicode 14 that the golden files were made with:

    python tests/text/bake_unicode_table.py keras_bert/text/unicode_14.npz

The same arrays come out every time. `keras_bert/text/unicode_table.py` says what the arrays mean.
"""

import sys
import unicodedata

import numpy as np

from keras_bert.text.unicode_table import (
    CASED,
    CHINESE,
    IGNORABLE,
    MARK,
    NUM_CODE_POINTS,
    PUNCTUATION,
    REMOVED,
    SETTLED,
    SPACE,
)

CAPITAL_SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"
ASCII_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
CHINESE_RANGES = (  # Google's `_is_chinese_char`: ideographs only, neither kana nor Hangul
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def is_removed(code_point: int, category: str) -> bool:
    """Google's `_clean_text` drops it; surrogates are no characters, so they count as U+FFFD."""
    if chr(code_point) in "\t\n\r":
        return False
    return category in ("Cc", "Cf", "Cs") or code_point in (0, 0xFFFD)


def sigma_context(char: str) -> int:
    """How `str.lower` sees `char` when it decides whether a capital sigma ends a word."""
    ends_after_letter = ("A" + char + CAPITAL_SIGMA).lower().endswith(FINAL_SIGMA)
    ends_alone = (char + CAPITAL_SIGMA).lower().endswith(FINAL_SIGMA)
    if ends_alone:
        return CASED
    return IGNORABLE if ends_after_letter else 0


def is_punctuation(char: str, database=unicodedata) -> bool:
    return char in ASCII_PUNCTUATION or database.category(char).startswith("P")


def is_settled(char: str) -> bool:
    """Known to Unicode 14; and if it is punctuation, since Unicode 3.2, the old database Python carries."""
    if unicodedata.category(char) == "Cn":
        return False
    return not is_punctuation(char) or is_punctuation(char, unicodedata.ucd_3_2_0)


def flags_of(code_point: int) -> int:
    char = chr(code_point)
    category = unicodedata.category(char)
    if is_removed(code_point, category):
        return REMOVED
    flags = sigma_context(char)
    if category in ("Zs", "Zl", "Zp") or char in "\t\n\r":
        flags |= SPACE
    if any(first <= code_point <= last for first, last in CHINESE_RANGES):
        flags |= CHINESE
    if is_punctuation(char):
        flags |= PUNCTUATION
    if is_settled(char):
        flags |= SETTLED
    if category == "Mn":
        flags |= MARK
    return flags


def ragged(mapping: dict[int, str], prefix: str) -> dict[str, np.ndarray]:
    """A map from code point to string, as three arrays."""
    return {
        f"{prefix}_keys": np.array(list(mapping), np.int32),
        f"{prefix}_lengths": np.array([len(value) for value in mapping.values()], np.uint8),
        f"{prefix}_values": np.array([ord(char) for value in mapping.values() for char in value], np.int32),
    }


def bake() -> dict[str, np.ndarray]:
    """Every array of the table."""
    flags = np.array([flags_of(code_point) for code_point in range(NUM_CODE_POINTS)], np.uint8)
    run_starts = np.flatnonzero(np.diff(flags, prepend=255))
    alive = [chr(code_point) for code_point in np.flatnonzero(flags & REMOVED == 0)]
    combining = {char: unicodedata.combining(char) for char in alive if unicodedata.combining(char)}
    return {
        "unicode_version": np.array([int(part) for part in unicodedata.unidata_version.split(".")], np.int32),
        "flag_run_starts": run_starts.astype(np.int32),
        "flag_run_values": flags[run_starts],
        "combining_keys": np.array([ord(char) for char in combining], np.int32),
        "combining_values": np.array(list(combining.values()), np.uint8),
        **ragged({ord(char): char.lower() for char in alive if char.lower() != char}, "lower"),
        **ragged(
            {
                ord(char): unicodedata.normalize("NFD", char)
                for char in alive
                if unicodedata.normalize("NFD", char) != char
            },
            "decomposition",
        ),
    }


if __name__ == "__main__":
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"Unicode 14.0.0 (Python 3.11) is needed; this Python has {unicodedata.unidata_version}")
    np.savez_compressed(sys.argv[1], **bake())

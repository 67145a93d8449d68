"""How the vocabulary and the texts are spelt for tensorflow-text, so that it cuts words as Google does.

tensorflow-text asks the ICU it was built with what ends a word, and every release of Unicode answers
otherwise for some characters. Those are replaced before it sees them, in the vocabulary and in every
text alike: a letter by a private-use character, a character that stands alone by an ideograph, of which
there can be no doubt. Characters that no piece holds all become one such letter, or one such ideograph.
NumPy only.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_bert.errors import VocabularyError
from keras_bert.text import unicode_table as unicode
from keras_bert.text.wordpiece import CONTINUATION

_PRIVATE_USE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
# Ideographs and private use fill the planes from here on: what is unassigned there is no punctuation.
_FIRST_SETTLED_PLANE = 0x20000


class Spelling(NamedTuple):
    """The spelling for one vocabulary.

    Args:
        letters: int32 array [NUM_CODE_POINTS]. What each character is written as.
        kept_letters: int32 array [NUM_CODE_POINTS]. The same inside words that are never split.
        pieces: list of str. The vocabulary's pieces as they are spelt; further entries, one for each of
            `extra_ids`, are the words that are never split and the special tokens that count in a text.
        extra_ids: list of int. The ids that the further entries stand for.
        unknown_letter: int. A letter that no piece holds: a word with it is [UNK].
        unknown_words: list of str. Words that are never split and not in the vocabulary: [UNK] as a whole.
        special_letters: dict. Special token that counts in a text to the character that stands for it.
    """

    letters: np.ndarray
    kept_letters: np.ndarray
    pieces: list[str]
    extra_ids: list[int]
    unknown_letter: int
    unknown_words: list[str]
    special_letters: dict[str, int]


def spelling_for(
    ids: dict[str, int], split_chinese: bool, never_split: Sequence[str] = (), special: Sequence[str] = ()
) -> Spelling:
    """The `Spelling` for a vocabulary.

    Args:
        ids: dict. Piece to id, in the order of the ids.
        split_chinese: bool. Whether every ideograph is a word of its own.
        never_split: sequence of str. Words that are looked up whole, exactly as they are written.
        special: sequence of str. Special tokens that count where they are written in a text.

    Raises:
        VocabularyError: the pieces leave no character to stand for others.
    """
    flags = unicode.unicode_table().flags
    unsettled = _unsettled(flags, split_chinese)
    stands_alone = flags & unicode.PUNCTUATION != 0
    if split_chinese:
        stands_alone |= flags & unicode.CHINESE != 0
    alphabet = {ord(char) for piece in ids for char in piece}
    private = _unused(itertools.chain(*_PRIVATE_USE), alphabet)
    ideographs = _unused(unicode.unicode_table().members(unicode.CHINESE).tolist(), alphabet)
    unknown_letter, unknown_ideograph = next(private), next(ideographs)
    stand_ins = {unknown_letter: unknown_letter, unknown_ideograph: unknown_ideograph}

    letters = np.arange(unicode.NUM_CODE_POINTS, dtype=np.int32)
    letters[unsettled] = np.where(stands_alone[unsettled], unknown_ideograph, unknown_letter)
    for point in sorted(alphabet):
        if unsettled[point]:
            letters[point] = next(ideographs if stands_alone[point] else private)
            stand_ins[int(letters[point])] = unknown_ideograph if stands_alone[point] else unknown_letter
    kept_letters = np.arange(unicode.NUM_CODE_POINTS, dtype=np.int32)
    for point in sorted({ord(char) for word in never_split for char in word}):
        is_word = split_chinese and flags[point] & unicode.CHINESE  # by itself
        kept_letters[point] = next(ideographs if is_word else private)
        stand_ins[int(kept_letters[point])] = unknown_ideograph if is_word else unknown_letter
    special_letters = {token: next(ideographs) for token in special}
    stand_ins |= dict.fromkeys(special_letters.values(), unknown_ideograph)
    # Who writes a stand-in into a text must not be taken for what it stands for.
    for point, unknown in stand_ins.items():
        if point not in alphabet:
            letters[point] = unknown if split_chinese or unknown != unknown_ideograph else unknown_letter
            if kept_letters[point] == point:
                kept_letters[point] = unknown_letter

    extras = {written(word, kept_letters): ids[word] for word in never_split if word in ids}
    extras |= {chr(letter): ids[token] for token, letter in special_letters.items()}
    pieces = [_spelt_piece(piece, letters) for piece in ids] + list(extras)
    unknown_words = [word for word in never_split if word not in ids]
    return Spelling(
        letters, kept_letters, pieces, list(extras.values()), unknown_letter, unknown_words, special_letters
    )


def _unsettled(flags: np.ndarray, split_chinese: bool) -> np.ndarray:
    """Which code points tensorflow-text may take for something else than our table does; bool array."""
    unsettled = flags & (unicode.SETTLED | unicode.REMOVED) == 0
    unsettled[_FIRST_SETTLED_PLANE:] = False
    unsettled[flags & unicode.CHINESE != 0] = not split_chinese  # it always splits them, by Google's ranges
    return unsettled


def _unused(points, alphabet: set[int]) -> Iterator[int]:
    yield from (point for point in points if point not in alphabet)
    raise VocabularyError("the pieces use every ideograph or every private-use character", where="vocabulary")


def written(text: str, letters: np.ndarray) -> str:
    """The text, letter by letter as `letters` says."""
    return "".join(chr(letters[ord(char)]) for char in text)


def _spelt_piece(piece: str, letters: np.ndarray) -> str:
    if piece.startswith(CONTINUATION):
        return CONTINUATION + written(piece.removeprefix(CONTINUATION), letters)
    return written(piece, letters)


def calm_characters(lowercase: bool, strip_accents: bool, split_chinese: bool, letters: np.ndarray) -> str:
    """The characters beyond ASCII that stand alone and stay themselves, in the spelling too.

    Args:
        lowercase: bool. As in `Tokenizer`.
        strip_accents: bool. As in `Tokenizer`.
        split_chinese: bool. As in `Tokenizer`.
        letters: int32 array [NUM_CODE_POINTS]. Of the `Spelling`.

    Returns:
        str: the inside of a regular expression's [...], in RE2's syntax.
    """
    flags = unicode.unicode_table().flags
    alone = unicode.PUNCTUATION | (unicode.CHINESE if split_chinese else 0)
    calm = (flags & alone != 0) & (letters == np.arange(unicode.NUM_CODE_POINTS))
    calm[list(unicode.normal_forms(lowercase, strip_accents))] = False
    calm[:0x80] = False
    points = np.flatnonzero(calm)
    ends = np.flatnonzero(np.diff(points, append=-1) != 1)
    starts = [0, *(ends[:-1] + 1)]
    return "".join(
        rf"\x{{{points[first]:x}}}-\x{{{points[last]:x}}}" for first, last in zip(starts, ends, strict=True)
    )

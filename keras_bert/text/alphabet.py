"""Which characters a learnt vocabulary knows."""

import collections
import dataclasses

from keras_bert.errors import VocabularyError
from keras_bert.text.wordpiece import CONTINUATION

CHARACTER_COVERAGE = 0.9995  # of all that is written: the alphabet is never chosen smaller than that


@dataclasses.dataclass(frozen=True)
class Character:
    """A character of the texts.

    Args:
        text: str.
        count: int. How often it occurs.
        continues: bool. Whether it occurs after the first place of a word.
    """

    text: str
    count: int
    continues: bool

    @property
    def forms(self) -> list[str]:
        """The pieces it needs."""
        return [self.text, CONTINUATION + self.text] if self.continues else [self.text]


def count_characters(words: collections.Counter) -> list[Character]:
    """The characters of the words, the most frequent first, code points in order where as frequent."""
    counts, continuing = collections.Counter(), set()
    for word, count in words.items():
        continuing.update(word[1:])
        for char in word:
            counts[char] += count
    ordered = sorted(counts, key=lambda char: (-counts[char], char))
    return [Character(char, counts[char], char in continuing) for char in ordered]


def choose_alphabet(
    characters: list[Character], room: int, limit: int | None, size: int
) -> tuple[list[Character], list[Character]]:
    """The characters that words may be built from, and the others.

    Args:
        characters: list of `Character`, the most frequent first.
        room: int. Pieces besides special tokens and unused slots.
        limit: int or None. As `limit_alphabet` of `learn_vocabulary`.
        size: int. Of the vocabulary, for the message.

    Returns:
        (alphabet, rest), both lists of `Character`.

    Raises:
        VocabularyError: the alphabet does not fit.
    """
    needed = CHARACTER_COVERAGE * sum(character.count for character in characters)
    num_kept = num_pieces = covered = 0
    for character in characters:
        if limit is not None and num_kept == limit:
            break
        if limit is None and covered >= needed and num_pieces + len(character.forms) > room // 2:
            break
        num_kept, covered = num_kept + 1, covered + character.count
        num_pieces += len(character.forms)
    if num_pieces > room:
        raise VocabularyError(
            f"A vocabulary of {size} pieces has no room for the alphabet: {num_kept} characters",
            where=f"size={size}",
            expected=f"{size - room + num_pieces} pieces or more",
            remedy="ask for more pieces (--vocab_size), or for fewer characters (--limit_alphabet)",
        )
    return characters[:num_kept], characters[num_kept:]


def forms_that_fit(characters: list[Character], room: int) -> list[str]:
    """The forms of the first characters, as far as they fit."""
    pieces = []
    for character in characters:
        if len(pieces) + len(character.forms) > room:
            break
        pieces += character.forms
    return pieces

"""Tokenisers whose pieces are single letters, so that the pieces of a text spell its words."""

from keras_bert.text.tokenizer import Tokenizer


def letters_tokenizer(words, lowercase: bool) -> Tokenizer:
    """A tokeniser that knows the letters of the words, each where it stands: at the start or within a word.

    It spells these words; a letter that is elsewhere makes its word [UNK].
    """
    starts, others = set(), set()
    for word in words:
        starts.add(word[0])
        others.update(word[1:])
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *sorted(starts),
        *(f"##{letter}" for letter in sorted(others)),
    ]
    return Tokenizer(list(dict.fromkeys(pieces)), lowercase=lowercase)


def spelt(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    """The words that the pieces spell."""
    words = []
    for index in ids:
        piece = tokenizer.vocabulary.pieces[index]
        if piece.startswith("##") and len(piece) > 2:
            words[-1] += piece[2:]
        else:
            words.append(piece)
    return words

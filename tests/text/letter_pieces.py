"""Tokenisers whose pieces are single letters, so that the pieces of a text spell its words."""

from keras_bert.text.tokenizer import Tokenizer


def letters_tokenizer(words, lowercase: bool) -> Tokenizer:
    """A tokeniser that knows every letter of the words, at the start and within a word."""
    letters = sorted({letter for word in words for letter in word})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
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

"""Documents as the ids of their sentences: what is held while documents are shuffled."""

import dataclasses
import itertools

import numpy as np

from keras_bert.corpus.chinese_words import continues_word


@dataclasses.dataclass(frozen=True)
class TokenDocument:
    """A document of S sentences, none of them empty.

    Args:
        place: tuple of int. (file, where it begins, part): two parts of one document share the first two.
        token_ids: int array (sum of the lengths,).
        lengths: int32 array (S,). Pieces of each sentence.
        continues: bool array like `token_ids`, or None. As in `Examples`.
    """

    place: tuple[int, int, int]
    token_ids: np.ndarray
    lengths: np.ndarray
    continues: np.ndarray | None = None


class DocumentTokenizer:
    """Documents to ids, with the share of [UNK] counted and some texts that have it kept.

    Args:
        tokenizer: Tokenizer.
        words: function or None. `chinese_words.word_cutter`: text to spans of its words.
    """

    def __init__(self, tokenizer, words=None):
        self._tokenizer, self._words = tokenizer, words
        self._unk_id = tokenizer.vocabulary.unk_id
        self._dtype = np.uint16 if len(tokenizer.vocabulary) <= 2**16 else np.int32
        self.num_sentences = self.num_tokens = self.num_unknown = 0
        self.unknown_samples: list[str] = []

    def __call__(self, document) -> TokenDocument | None:
        """The document in ids; None where no sentence of it has a piece.

        Args:
            document: `documents.Document`.
        """
        if self._words is None:
            sentences = [self._tokenizer.ids(text) for text in document.sentences]
            flags = None
        else:
            encoded = [self._tokenizer.encode(text, special_tokens=False) for text in document.sentences]
            sentences = [list(text.token_ids) for text in encoded]
            flags = [
                continues_word(text, encoding.offsets, self._words(text))
                for text, encoding in zip(document.sentences, encoded, strict=True)
            ]
        for text, ids in zip(document.sentences, sentences, strict=True):
            if self._unk_id in ids:
                self._note_unknown(text, ids)
        lengths = np.array([len(ids) for ids in sentences if ids], np.int32)
        if not len(lengths):
            return None
        token_ids = np.fromiter(itertools.chain.from_iterable(sentences), self._dtype, lengths.sum())
        self.num_sentences += len(lengths)
        self.num_tokens += len(token_ids)
        continues = None if flags is None else np.array([flag for row in flags for flag in row], bool)
        return TokenDocument(document.place, token_ids, lengths, continues)

    def _note_unknown(self, text: str, ids: list[int]):
        self.num_unknown += ids.count(self._unk_id)
        if len(self.unknown_samples) < 3:
            self.unknown_samples.append(text[:100])

"""A whole text to pieces: chunks, words, WordPiece; what a chunk became is remembered."""

import itertools

from keras_bert.text.normalization import Normalizer
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.text.wordpiece import MAX_WORD_LENGTH, WordPiece

# Words repeat. Both bounds only keep hostile text from filling the memory.
_MEMORY_CHUNKS, _MEMORY_CHUNK_LENGTH = 50_000, 64
_MEMORY_IDS = 200_000  # without spans an entry is small

Spans = list[tuple[int, int]]


class Segmenter:
    """Cuts texts into pieces.

    Args:
        vocabulary: `Vocabulary`.
        normalizer: `Normalizer`.
    """

    def __init__(self, vocabulary: Vocabulary, normalizer: Normalizer):
        self._vocabulary = vocabulary
        self._normalizer = normalizer
        self._wordpiece = WordPiece(vocabulary.ids, vocabulary.unk_id)
        self._memory: dict[str, tuple[list[int], Spans, int]] = {}
        self._ids = _ChunkIds(vocabulary, normalizer, self)

    def pieces(self, text: str, base: int = 0) -> tuple[list[int], Spans]:
        """The pieces of a text.

        Args:
            text: str.
            base: int. Added to every offset.

        Returns:
            (ids, spans): spans are (start, end) in code points of `text`, plus `base`.
        """
        ids, spans = [], []
        memory = self._memory
        for match in self._normalizer.chunks(text):
            chunk = match[0]
            known = memory.get(chunk)
            if known is None:
                known = self.cut(chunk)
                if len(chunk) <= _MEMORY_CHUNK_LENGTH:
                    if len(memory) >= _MEMORY_CHUNKS:
                        memory.clear()
                    memory[chunk] = known
            chunk_ids, chunk_spans, leading_marks = known
            at = base + match.start()
            if leading_marks and spans and spans[-1][1] == at:  # an ideograph ends here
                spans[-1] = (spans[-1][0], at + leading_marks)
            if len(chunk_ids) == 1:  # most often: worth a way of its own
                ids.append(chunk_ids[0])
                start, end = chunk_spans[0]
                spans.append((at + start, at + end))
            else:
                ids += chunk_ids
                spans += [(at + start, at + end) for start, end in chunk_spans]
        return ids, spans

    def ids(self, text: str) -> list[int]:
        """The ids of `pieces` alone, several times as fast.

        Args:
            text: str.
        """
        if text.isascii() and text.isprintable():  # its only white space is the blank
            chunks = text.split()
        else:
            chunks = self._normalizer.chunk_texts(text)
        return list(itertools.chain.from_iterable(map(self._ids.__getitem__, chunks)))

    def cut_word(self, word: str) -> list[int]:
        """The ids of one normalised word."""
        return [index for index, _, _ in self._wordpiece.cut(word)]

    def cut(self, chunk: str) -> tuple[list[int], Spans, int]:
        """One chunk, not remembered: (ids, spans, how many marks at its start belong before it)."""
        ids, spans = [], []
        for word, starts, ends in self._normalizer.words(chunk):
            if self._normalizer.is_kept_whole(word):
                pieces = [(self._vocabulary.id(word), 0, len(word))]
            else:
                pieces = self._wordpiece.cut(word)
            for index, start, end in pieces:
                ids.append(index)
                spans.append((starts[start], ends[end - 1]))
        return ids, spans, self._normalizer.num_leading_marks(chunk)


class _ChunkIds(dict):
    """Chunk to its ids; one that is not known yet is cut when it is asked for."""

    def __init__(self, vocabulary: Vocabulary, normalizer: Normalizer, segmenter: Segmenter):
        self._known, self._normalizer, self._segmenter = vocabulary.ids, normalizer, segmenter

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        words = self._normalizer.ascii_words(chunk)
        if words is None:
            ids = tuple(self._segmenter.cut(chunk)[0])
        else:
            ids = tuple(itertools.chain.from_iterable(map(self._of_word, words)))
        if len(chunk) <= _MEMORY_CHUNK_LENGTH:
            if len(self) >= _MEMORY_IDS:
                self.clear()
            self[chunk] = ids
        return ids

    def _of_word(self, word: str) -> list[int]:
        whole = self._known.get(word) if len(word) <= MAX_WORD_LENGTH else None
        return self._segmenter.cut_word(word) if whole is None else [whole]

"""A whole text to pieces: chunks, words, WordPiece; what a chunk became is remembered."""

from keras_bert.text.normalization import Normalizer
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.text.wordpiece import WordPiece

# Words repeat. Both bounds only keep hostile text from filling the memory.
_MEMORY_CHUNKS, _MEMORY_CHUNK_LENGTH = 50_000, 64

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
                known = self._cut(chunk)
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

    def _cut(self, chunk: str) -> tuple[list[int], Spans, int]:
        """(ids, spans, how many marks at its start belong to what is before it)."""
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

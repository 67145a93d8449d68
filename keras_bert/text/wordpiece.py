"""WordPiece: a word is cut greedily into the longest pieces the vocabulary has.

unaffable -> un ##aff ##able
"""

MAX_WORD_LENGTH = 200  # characters, as in Google's tokenization.py; a longer word is [UNK]
CONTINUATION = "##"


class WordPiece:
    """Cuts normalised words into pieces.

    Args:
        ids: dict. Piece to id.
        unk_id: int. Id of a word that cannot be cut.
    """

    def __init__(self, ids: dict[str, int], unk_id: int):
        self._unk_id = unk_id
        self._initial = ids
        self._continuing = {
            piece.removeprefix(CONTINUATION): index
            for piece, index in ids.items()
            if piece.startswith(CONTINUATION)
        }
        self._longest_initial = max(map(len, self._initial), default=0)
        self._longest_continuing = max(map(len, self._continuing), default=0)

    def cut(self, word: str) -> list[tuple[int, int, int]]:
        """The pieces of `word`.

        Args:
            word: str. A non-empty normalised word.

        Returns:
            List of (id, start, end), in characters of `word`; one [UNK] over the whole word where some
            part of it is not in the vocabulary or the word is longer than `MAX_WORD_LENGTH`.
        """
        length = len(word)
        if length > MAX_WORD_LENGTH:
            return [(self._unk_id, 0, length)]
        pieces, start = [], 0
        table, longest = self._initial, self._longest_initial
        while start < length:
            for end in range(min(length, start + longest), start, -1):
                index = table.get(word[start:end])
                if index is not None:
                    break
            else:
                return [(self._unk_id, 0, length)]
            pieces.append((index, start, end))
            start = end
            table, longest = self._continuing, self._longest_continuing
        return pieces

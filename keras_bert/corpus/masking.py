"""The law of masks, as Google published it: one for masks drawn when the records are read, and when written.

Of an example of L real pieces, [CLS] and [SEP] included, min(`max_predictions_per_seq`, max(1,
round(`masked_lm_prob` * L))) pieces are to be predicted, halves rounded to the even number. Every real piece
but [CLS], [SEP] and [PAD] can be chosen. Units are taken in random order, and one that would exceed the
number to predict is skipped; so there can be fewer, even none where all words are too long. Of the chosen
pieces `mask_share` become [MASK], `random_share` become a random piece, each of the vocabulary equally
likely, and the rest stay as they are.

The unit is one piece; with `whole_word` a word. A piece goes on with the word of the piece before it if it
begins with ## or `continues` says so; the first piece of a segment begins a word, whatever was cut off before
it. With `max_ngram` > 1 the unit is a span of n words: every word, in random order, begins one, unless it is
chosen already. n is drawn for it, 1 to `max_ngram`, with a probability proportional to 1 / n. The span ends
earlier where its segment ends, before a word chosen already, and before a word that would exceed the number
to predict.

What is drawn depends on the seed, the epoch, the index of the example and the place of the piece, not on the
other examples of a batch or the padding.

Source: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.1, and `create_pretraining_data.py`;
for n-grams Lan et al. 2019, https://arxiv.org/abs/1909.11942, section 4.1.
"""

import dataclasses

import numpy as np

from keras_bert.corpus.random_numbers import bits, uniforms
from keras_bert.errors import UsageError, VocabularyError
from keras_bert.text.vocabulary import MASK, Vocabulary

_ORDER, _SPAN, _ACTION, _PIECE = 10, 11, 12, 13  # these uses of the random numbers
_PLACE = np.uint64(2**20 - 1)  # the bits of a key that hold the place of its piece; rows are shorter
_LAST = np.uint64(2**64 - 1)  # the key of a piece that cannot be chosen


@dataclasses.dataclass(frozen=True)
class Masking:
    """How pieces are chosen, and what becomes of them.

    Args:
        masked_lm_prob: float in (0, 1]. Share of the pieces to predict.
        max_predictions_per_seq: int. At most so many of an example; the number of slots M.
        whole_word: bool. All pieces of a word are chosen together.
        max_ngram: int. Up to so many whole words in a row are chosen together; more than 1 implies
            `whole_word`.
        mask_share: float. Share of the chosen that become [MASK].
        random_share: float. Share of the chosen that become a random piece.

    Raises:
        UsageError: a value out of its range; names the flag.
    """

    masked_lm_prob: float = 0.15
    max_predictions_per_seq: int = 20
    whole_word: bool = False
    max_ngram: int = 1
    mask_share: float = 0.8
    random_share: float = 0.1

    def __post_init__(self):
        if not _is_number(self.masked_lm_prob) or not 0 < self.masked_lm_prob <= 1:
            _refuse("--masked_lm_prob", self.masked_lm_prob, "a number above 0, at most 1")
        for name in ("max_predictions_per_seq", "max_ngram"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                _refuse(f"--{name}", value, "an integer of 1 or more")
        if not isinstance(self.whole_word, bool):
            _refuse("--do_whole_word_mask", self.whole_word, "true or false")
        for name in ("mask_share", "random_share"):
            if not _is_number(getattr(self, name)) or not 0 <= getattr(self, name) <= 1:
                _refuse(name, getattr(self, name), "a number from 0 to 1")
        if self.mask_share + self.random_share > 1:
            _refuse("random_share", self.random_share, f"at most 1 - mask_share, which is {self.mask_share}")

    def num_to_predict(self, lengths) -> np.ndarray:
        """How many pieces of examples are to be predicted.

        Args:
            lengths: int array. Real pieces, [CLS] and [SEP] included.

        Returns:
            int64 array like `lengths`.
        """
        wanted = np.rint(np.asarray(lengths) * self.masked_lm_prob).astype(np.int64)
        return np.clip(wanted, 1, self.max_predictions_per_seq)


class Masker:
    """Lays masks over rows of pieces.

    Args:
        vocabulary: Vocabulary.
        masking: Masking.
        seed: int.

    Raises:
        VocabularyError: the vocabulary has no [MASK].
    """

    def __init__(self, vocabulary: Vocabulary, masking: Masking, seed: int):
        if vocabulary.mask_id is None:
            raise VocabularyError(
                f"The vocabulary has no {MASK}, without which nothing can be masked",
                expected=f"a piece {MASK}",
                remedy=f"write {MASK} over a piece that is never used, such as [unused1], or learn another "
                "vocabulary with `keras-bert vocabulary`",
            )
        self.masking, self._seed, self._size = masking, seed, len(vocabulary)
        self._mask_id = vocabulary.mask_id
        self._never = (vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id)
        self._is_continuation = np.array([piece.startswith("##") for piece in vocabulary])  # (V,)

    def __call__(self, rows: dict, epoch: int, indices) -> dict[str, np.ndarray]:
        """Draws the masks of some examples.

        Args:
            rows: dict. `token_ids`, `segment_ids`, `padding_mask`: int (B, T); perhaps `continues`: bool
                (B, T). As `Examples.padded` makes them.
            epoch: int. Every epoch has masks of its own.
            indices: int array (B,). The number of each example in the whole corpus.

        Returns:
            dict of `token_ids` (masked), `segment_ids`, `padding_mask`: int32 (B, T); `mask_positions`
            (ascending), `mask_ids` (what was there): int32 (B, M); `mask_weights`: float32 (B, M). All three
            are 0 in unused slots, which come last.

        Raises:
            VocabularyError: an id is not of the vocabulary.
        """
        token_ids = np.asarray(rows["token_ids"], np.int32)  # (B, T)
        self._check(token_ids)
        draw = (epoch, np.asarray(indices)[:, None])
        is_real = np.asarray(rows["padding_mask"]) != 0  # (B, T)
        can_be_chosen = is_real.copy()
        for special in self._never:
            can_be_chosen &= token_ids != special
        wanted = self.masking.num_to_predict(is_real.sum(1))  # (B,)

        keys = self._keys(draw, token_ids.shape[1])
        if self.masking.whole_word or self.masking.max_ngram > 1:
            is_inside = self._is_continuation[token_ids]
            if "continues" in rows:
                is_inside |= np.asarray(rows["continues"], bool)
            positions, is_used = self._words(draw, keys, can_be_chosen, is_inside, wanted)
        else:
            positions, is_used = self._pieces(keys, can_be_chosen, wanted)
        mask_ids = np.where(is_used, np.take_along_axis(token_ids, positions, 1), 0)  # (B, M)
        masked = token_ids.copy()
        row, _ = np.nonzero(is_used)
        masked[row, positions[is_used]] = self._instead(draw, positions, mask_ids)[is_used]
        return {
            "token_ids": masked,
            "segment_ids": np.asarray(rows["segment_ids"], np.int32),
            "padding_mask": np.asarray(rows["padding_mask"], np.int32),
            "mask_positions": positions,
            "mask_ids": mask_ids,
            "mask_weights": is_used.astype(np.float32),
        }

    def _check(self, token_ids):
        if token_ids.size and token_ids.view(np.uint32).max() >= self._size:  # negative ones look large
            wrong = token_ids[(token_ids < 0) | (token_ids >= self._size)]
            raise VocabularyError(
                f"The id {wrong[0]} is not of the vocabulary",
                where="token_ids",
                expected=f"ids from 0 to {self._size - 1}",
                remedy="use the vocabulary that the corpus was built with",
            )

    def _keys(self, draw, length: int) -> np.ndarray:
        """uint64 (B, T): a piece with a smaller key comes earlier; its last bits are its place."""
        place = np.arange(length, dtype=np.uint64)
        keys = bits(self._seed, _ORDER, *draw, place)
        keys &= ~_PLACE
        keys |= place
        return keys

    def _pieces(self, keys, can_be_chosen, wanted):
        """The first pieces in the order of their keys: positions int32 (B, M), which of them are used."""
        keys[~can_be_chosen] = _LAST
        num_slots = self.masking.max_predictions_per_seq
        if num_slots < keys.shape[1]:
            keys = np.partition(keys, num_slots - 1)[:, :num_slots]
        keys = np.sort(keys)  # (B, M), or (B, T) where the rows are shorter
        chosen = (np.arange(keys.shape[1]) < wanted[:, None]) & (keys != _LAST)
        places = np.where(chosen, keys & _PLACE, _LAST)
        places.sort()  # ascending, the unused ones last
        positions = np.zeros((len(keys), num_slots), np.int32)
        is_used = np.zeros(positions.shape, bool)
        is_used[:, : keys.shape[1]] = places != _LAST
        positions[is_used] = places[places != _LAST]
        return positions, is_used

    def _words(self, draw, keys, can_be_chosen, is_inside, wanted):
        """Spans of words, in the order of the keys of their first pieces: as `_pieces`."""
        length = keys.shape[1]
        is_head = can_be_chosen.copy()
        is_head[:, 1:] &= ~(is_inside[:, 1:] & can_be_chosen[:, :-1])
        number = np.cumsum(is_head).reshape(is_head.shape) - 1  # of each piece's word in the batch
        sizes = np.zeros((len(keys), length + 1), np.int64)  # of the word that begins there
        sizes[:, :-1][is_head] = np.bincount(number[can_be_chosen], minlength=is_head.sum())
        keys[~is_head] = _LAST
        keys.sort()
        order = (keys & _PLACE).astype(np.int64)  # (B, T), the heads first
        is_chosen = self._spans(draw, order, is_head.sum(1), sizes, wanted)

        is_masked = can_be_chosen & is_chosen[:, :-1][is_head][number] if is_head.any() else can_be_chosen
        row, place = np.nonzero(is_masked)
        counts = is_masked.sum(1)
        positions = np.zeros((len(keys), self.masking.max_predictions_per_seq), np.int32)
        is_used = np.arange(positions.shape[1]) < counts[:, None]
        positions[is_used] = place
        return positions, is_used

    def _spans(self, draw, order, num_words, sizes, wanted) -> np.ndarray:
        """bool like `sizes`: which words are chosen. All rows take one step of the law at a time."""
        longest = self.masking.max_ngram
        is_chosen = np.zeros(sizes.shape, bool)
        left = wanted.copy()  # (B,)
        num_ranks = num_words.max(initial=0)
        if longest > 1:
            shares = np.cumsum(1 / np.arange(1, longest + 1))
            random = uniforms(self._seed, _SPAN, *draw, order[:, :num_ranks])
            spans = 1 + np.searchsorted(shares[:-1] / shares[-1], random, "right")  # (B, ranks)
        for rank in range(num_ranks):
            rows = np.flatnonzero((left > 0) & (rank < num_words))
            if not len(rows):
                break
            place = order[rows, rank]
            goes_on = np.ones(len(rows), bool)
            for nth in range(longest):
                size = sizes[rows, place]
                goes_on &= (size > 0) & (size <= left[rows]) & ~is_chosen[rows, place]
                if nth:
                    goes_on &= nth < spans[rows, rank]
                if not goes_on.any():
                    break
                is_chosen[rows[goes_on], place[goes_on]] = True
                left[rows] -= size * goes_on
                place = np.minimum(place + size, sizes.shape[1] - 1)
        return is_chosen

    def _instead(self, draw, positions, mask_ids) -> np.ndarray:
        """int32 (B, M): what stands there after masking."""
        action = uniforms(self._seed, _ACTION, *draw, positions)
        piece = (uniforms(self._seed, _PIECE, *draw, positions) * self._size).astype(np.int32)
        mask_share, random_share = self.masking.mask_share, self.masking.random_share
        kept = np.where(action < mask_share + random_share, piece, mask_ids)
        return np.where(action < mask_share, np.int32(self._mask_id), kept)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _refuse(where, value, expected):
    raise UsageError(f"The value is {value!r}", where=where, expected=expected)

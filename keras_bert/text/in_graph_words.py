"""Texts to normalised words as TensorFlow operations: `normalization.Normalizer`, inside the graph.

Text is decoded to code points, every one is looked up in the baked Unicode table, and every character
that comes out remembers which code point it came from: exactness and offsets fall out of the same gather.
What depends on the neighbours (the final sigma, the order of combining characters) is rare, so it waits
in branches that ordinary text does not enter. Only `in_graph.py` imports this.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_bert.text import graph_tables as tables
from keras_bert.text.normalization import CAPITAL_SIGMA, FINAL_SIGMA


class Words(NamedTuple):
    """The words of a batch of texts.

    Args:
        letters: int32 ragged tensor [words, (letters)]. Normalised code points.
        sources: int64 tensor [letters]. Which of `points` each letter comes from.
        points: int32 ragged tensor [B, (points)]. The texts, a blank added to each.
        before: int64 tensor [B + 1]. How many words come before each text, and how many there are.
    """

    letters: tf.RaggedTensor
    sources: tf.Tensor
    points: tf.RaggedTensor
    before: tf.Tensor


class WordCutter(tf.Module):
    """Cuts texts into normalised words.

    Args:
        lowercase: bool. Map to lower case.
        strip_accents: bool. Decompose (NFD) and drop the non-spacing marks.
        split_chinese: bool. Make every ideograph a word of its own.
        never_split: sequence of str. Whitespace-delimited words to leave exactly as they are.
    """

    def __init__(self, lowercase: bool, strip_accents: bool, split_chinese: bool, never_split=()):
        super().__init__(name="word_cutter")
        self._lowercase, self._strip_accents = lowercase, strip_accents
        self._never_split = list(never_split)
        with tf.init_scope(), tf.device("/CPU:0"):
            self._forms = _constants(tables.forms_table(lowercase, strip_accents, split_chinese))
            self._first_forms = self._forms._replace(blocks=self._forms.blocks[:, 0])
            self._context = _constants(tables.context_table(strip_accents))
            if self._never_split:
                raw = tables.forms_table(False, False, split_chinese, split_punctuation=False)
                self._raw_forms = _constants(raw)

    def __call__(self, texts: tf.Tensor) -> Words:
        """The `Words` of a string tensor [B]; bytes that are not UTF-8 are dropped."""
        # The blank at the end keeps the last word of a text apart from the first of the next.
        points = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8")
        chars, width = self._characters(points.values)
        letters, sources = self._words(points.values, chars, width)
        first_sources = tf.gather(sources, letters.row_starts())
        before = tf.searchsorted(first_sources, points.row_splits, out_type=tf.int64)
        return Words(letters, sources, points, before)

    def spans(
        self, words: Words, starts: tf.RaggedTensor, ends: tf.RaggedTensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Where pieces of words come from.

        Args:
            words: `Words`.
            starts: ragged tensor [words, (pieces)]. First byte of every piece in the UTF-8 of its word.
            ends: ragged tensor [words, (pieces)]. The byte after its last.

        Returns:
            (starts, ends), int64 tensors [pieces]: code points, counted through the whole batch.
        """
        letters = words.letters.values
        num_bytes = [tf.cast(letters > last, tf.int64) for last in (-1, 0x7F, 0x7FF, 0xFFFF)]
        widths = tf.add_n(num_bytes)  # of each letter in UTF-8
        letter_of_byte = tf.repeat(tf.range(tf.size(letters)), widths)
        first_bytes = tf.gather(tf.cumsum(widths, exclusive=True), words.letters.row_starts())
        first_bytes = tf.repeat(first_bytes, starts.row_lengths())
        first = tf.gather(letter_of_byte, first_bytes + tf.cast(starts.values, tf.int64))
        last = tf.gather(letter_of_byte, first_bytes + tf.cast(ends.values, tf.int64) - 1)
        first_points, last_points = tf.gather(words.sources, first), tf.gather(words.sources, last)
        if not self._strip_accents:
            return first_points, last_points + 1
        # A stripped mark belongs to the character before it: go on to the next point that is none.
        solid = tf.where(_look_up(self._context, words.points.values) & tables.STRIPPED_MARK == 0)[:, 0]
        return first_points, tf.gather(solid, tf.searchsorted(solid, last_points, side="right"))

    def _characters(self, points):
        """(chars, width): what every code point becomes, `width` slots for each, unused ones negative."""
        lowered = points
        if self._lowercase:
            has_sigma = tf.reduce_any(points == ord(CAPITAL_SIGMA))
            lowered = tf.cond(has_sigma, lambda: self._with_final_sigmas(points), lambda: points)

        def all_characters():
            chars = _look_up(self._forms, lowered) + lowered[:, None]
            if self._never_split:
                chars = self._with_kept_words(points, chars)
            return tf.reshape(chars, [-1]), self._forms.blocks.shape[1]

        if self._never_split:
            return all_characters()
        # Nearly always every code point becomes one character at most: then the first slots are all.
        first = _look_up(self._first_forms, lowered) + lowered
        return tf.cond(tf.reduce_any(first & tables.LONGER != 0), all_characters, lambda: (first, 1))

    def _words(self, points, chars, width):
        """(words as ragged code points, the point each of their letters is from)."""
        words, sources, breaks = _cut(chars, width)
        letters = words.values
        if self._strip_accents:
            letters = tf.cond(
                tf.reduce_any(letters & tables.MOVABLE != 0),
                lambda: self._in_canonical_order(points, letters, sources, breaks),
                lambda: letters,
            )
        return words.with_values(letters & tables.POINT), sources

    def _with_final_sigmas(self, points):
        """See `Normalizer._place_final_sigmas`: after something cased, and not before something cased."""
        context = _look_up(self._context, points)
        visible = tf.where(context & tables.TRANSPARENT == 0)[:, 0]
        cased = tf.gather(context, visible) & tables.CASED != 0
        is_final = (
            (tf.gather(points, visible) == ord(CAPITAL_SIGMA))
            & tf.concat([[False], cased[:-1]], axis=0)
            & ~tf.concat([cased[1:], [False]], axis=0)
        )
        where = tf.boolean_mask(visible, is_final)
        return tf.tensor_scatter_nd_update(points, where[:, None], tf.fill(tf.shape(where), ord(FINAL_SIGMA)))

    def _in_canonical_order(self, points, letters, sources, breaks):
        """See `Normalizer._in_canonical_order`: stable sort by combining class within every run."""
        starts_run = tf.cast(_look_up(self._context, points) & tables.STARTS_RUN != 0, tf.int32)
        context = _look_up(self._context, letters & tables.POINT)
        order = tf.bitwise.right_shift(context, tables.COMBINING_SHIFT)
        # Without that bit it is in a word that is never split, and stays where it is.
        order = tf.where(letters & tables.MOVABLE != 0, order, 0)
        run = breaks + tf.gather(tf.cumsum(starts_run), sources) + tf.cumsum(tf.cast(order == 0, tf.int32))
        key = tf.cast(run, tf.int64) * 256 + tf.cast(order, tf.int64)
        return tf.gather(letters, tf.argsort(key, stable=True))

    def _with_kept_words(self, points, chars):
        """Words that are never split stay as they are written."""
        raw = (_look_up(self._raw_forms, points) + points[:, None])[:, 0]  # one character a point at most
        words, sources, _ = _cut(raw, 1)
        kept = is_one_of(words.with_values(words.values & tables.POINT), self._never_split)
        kept_points = tf.boolean_mask(sources, tf.repeat(kept, words.row_lengths()))
        kept_points = tf.scatter_nd(
            kept_points[:, None], tf.ones_like(kept_points), tf.shape(points, tf.int64)
        )
        rest = tf.fill([tf.size(points), chars.shape[1] - 1], tables.NOTHING)
        return tf.where(kept_points[:, None] > 0, tf.concat([raw[:, None], rest], axis=1), chars)


def is_one_of(words: tf.RaggedTensor, candidates: list[str]) -> tf.Tensor:
    """Which words, given as ragged code points, equal one of the candidates; bool tensor [words]."""
    strings = tf.strings.unicode_encode(words, "UTF-8")
    return tf.reduce_any(strings[:, None] == tf.constant(candidates)[None, :], axis=1)


def _cut(chars, width):
    """Cuts characters, `width` slots for each point, into words.

    Returns:
        (words, sources, breaks): ragged letters with their bits; of each letter the point it is from, and how
        many blanks and words of one letter come before it.
    """
    used = tf.where(chars & tables.UNUSED == 0)[:, 0]
    breaks = tf.cumsum(tf.cast(chars & (tables.BLANK | tables.ALONE) != 0, tf.int32), exclusive=True)
    letters, breaks = tf.gather(chars, used), tf.gather(breaks, used)
    opens = (letters & tables.ALONE != 0) | tf.concat([[True], breaks[1:] != breaks[:-1]], axis=0)
    words = tf.RaggedTensor.from_row_starts(letters, tf.where(opens)[:, 0], validate=False)
    return words, used // tf.cast(width, tf.int64), breaks


def _look_up(table: tables.PagedTable, points):
    block = tf.gather(table.pages, tf.bitwise.right_shift(points, tables.PAGE_BITS))
    return tf.gather(table.blocks, block * tables.PAGE_SIZE + (points & (tables.PAGE_SIZE - 1)))


def _constants(table: tables.PagedTable) -> tables.PagedTable:
    return tables.PagedTable(*map(tf.constant, table))

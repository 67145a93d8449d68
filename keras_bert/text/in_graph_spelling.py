"""Texts as tensorflow-text's tokeniser must see them, as operations: `Normalizer`, in the graph.

Text is decoded to code points, every one is looked up in the baked Unicode table, and every character
that comes out remembers which code point it came from: exactness and offsets fall out of the same gather.
What depends on the neighbours (the final sigma, the order of combining characters, words without end) is
rare, so it waits in branches that ordinary text does not enter. Only `in_graph.py` imports this.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_bert.errors import VocabularyError
from keras_bert.text import graph_tables as tables
from keras_bert.text.in_graph_offsets import letters_of, spread
from keras_bert.text.normalization import CAPITAL_SIGMA, FINAL_SIGMA
from keras_bert.text.spelling import Spelling, written
from keras_bert.text.wordpiece import MAX_WORD_LENGTH

_BASIC_PLANE = 1 << 16
MAX_BYTES_PER_PIECE = 256  # what tensorflow-text's WordPiece supports


class SpeltTexts(NamedTuple):
    """A batch of texts as they are spelt.

    Args:
        strings: string tensor [B]. UTF-8; words end at blanks, and where tensorflow-text always ends them.
        sources: int64 tensor [letters]. Which code point of the batch each letter of `strings` comes from.
        point_splits: int64 tensor [B + 1]. Where the code points of each text start, and how many there are.
        stripped: bool tensor [points]. Which code points are marks that were dropped.
    """

    strings: tf.Tensor
    sources: tf.Tensor
    point_splits: tf.Tensor
    stripped: tf.Tensor


class Speller(tf.Module):
    """Spells texts.

    Args:
        lowercase: bool. Map to lower case.
        strip_accents: bool. Decompose (NFD) and drop the non-spacing marks.
        split_chinese: bool. Make every ideograph a word of its own.
        never_split: sequence of str. Whitespace-delimited words to leave exactly as they are.
        spelling: `Spelling`.
    """

    def __init__(self, lowercase, strip_accents, split_chinese, never_split, spelling: Spelling):
        super().__init__(name="speller")
        self._lowercase, self._strip_accents = lowercase, strip_accents
        self._unknown_letter, self._special = spelling.unknown_letter, spelling.special_letters
        self._never_split = [written(word, spelling.kept_letters) for word in never_split]
        self._unknown_words = [written(word, spelling.letters) for word in spelling.unknown_words]
        forms = tables.forms_table(lowercase, strip_accents, split_chinese, letters=spelling.letters)
        first_forms = forms._replace(blocks=forms.blocks[:, 0])
        basic_points = np.arange(_BASIC_PLANE, dtype=np.int32)
        with tf.init_scope(), tf.device("/CPU:0"):
            self._forms, self._first_forms = _constants(forms), _constants(first_forms)
            # One gather in place of two for nearly all text.
            self._basic_forms = tf.constant(first_forms.look_up(basic_points) + basic_points)
            self._context = _constants(tables.context_table(strip_accents))
            if self._never_split:
                self._kept_forms = _constants(
                    tables.forms_table(False, False, split_chinese, False, spelling.kept_letters)
                )

    def __call__(self, texts: tf.Tensor) -> SpeltTexts:
        """The `SpeltTexts` of a string tensor [B]; bytes that are not UTF-8 are dropped."""
        # The blank at the end keeps the last word of a text apart from the first of the next.
        points = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8")
        values, special_starts = self._without_special(points.values)
        chars, width = self._characters(values)
        for letter, starts in special_starts.items():
            stand_in = tf.fill([tf.size(starts)], letter | tables.ALONE)
            chars = tf.tensor_scatter_nd_update(chars, starts[:, None] * tf.cast(width, tf.int64), stand_in)
        letters, sources, splits = _used(chars, width, points.row_splits)
        if self._strip_accents:
            letters = tf.cond(
                tf.reduce_any(letters & tables.MOVABLE != 0),
                lambda: self._in_canonical_order(values, letters, sources),
                lambda: letters,
            )
        letters = self._with_long_words_unknown(letters)
        if self._unknown_words:
            unknown = _letters_of_words(letters, self._unknown_words)
            unknown_letters = tf.fill([tf.size(unknown)], self._unknown_letter)
            letters = tf.tensor_scatter_nd_update(letters, unknown[:, None], unknown_letters)
        letters = tf.RaggedTensor.from_row_splits(letters & tables.POINT, splits, validate=False)
        first_slots = tf.reshape(chars, [-1, width])[:, 0]
        stripped = (first_slots < 0) & (first_slots >= tables.STRIPPED)
        return SpeltTexts(tf.strings.unicode_encode(letters, "UTF-8"), sources, points.row_splits, stripped)

    def spans(self, texts: SpeltTexts, starts: tf.RaggedTensor, ends: tf.RaggedTensor):
        """Where pieces come from in the texts before they were spelt.

        Args:
            texts: `SpeltTexts`.
            starts: ragged tensor [B, (pieces)]. First byte of every piece in its string.
            ends: ragged tensor [B, (pieces)]. The byte after its last.

        Returns:
            (starts, ends), int64 tensors [pieces], in code points of each text.
        """
        first_letters, end_letters = letters_of(texts.strings, starts, ends)
        first_points = tf.gather(texts.sources, first_letters)
        last_points = tf.gather(texts.sources, end_letters - 1)

        def past_stripped_marks():
            # A stripped mark belongs to the character before it: go on to the next point that is none.
            solid = tf.where(~texts.stripped)[:, 0]
            return tf.gather(solid, tf.searchsorted(solid, last_points, side="right"))

        end_points = last_points + 1
        if self._strip_accents:
            end_points = tf.cond(tf.reduce_any(texts.stripped), past_stripped_marks, lambda: last_points + 1)
        base = spread(texts.point_splits[:-1], starts.row_splits)
        return first_points - base, end_points - base

    def _without_special(self, points):
        """(points, starts): blanks in place of the special tokens that count, and where those start.

        `starts` is a dict from the letter that stands for a token to an int64 tensor.
        """
        special_starts = {}
        for token, letter in self._special.items():
            ahead = tf.concat([points, tf.zeros([len(token)], tf.int32)], axis=0)
            size = tf.size(points)
            found = tf.reduce_all([ahead[k : size + k] == ord(char) for k, char in enumerate(token)], axis=0)
            special_starts[letter] = starts = tf.where(found)[:, 0]
            covered = tf.reshape(starts[:, None] + tf.range(len(token), dtype=tf.int64), [-1, 1])
            points = tf.tensor_scatter_nd_update(points, covered, tf.fill([tf.size(covered)], ord(" ")))
        return points, special_starts

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
        first = tf.cond(
            tf.reduce_max(lowered) < _BASIC_PLANE,
            lambda: tf.gather(self._basic_forms, lowered),
            lambda: _look_up(self._first_forms, lowered) + lowered,
        )
        longer = (first & tables.LONGER != 0) & (first >= 0)
        return tf.cond(tf.reduce_any(longer), all_characters, lambda: (first, 1))

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

    def _in_canonical_order(self, points, letters, sources):
        """See `Normalizer._in_canonical_order`: stable sort by combining class within every run."""
        starts_run = _look_up(self._context, points) & tables.STARTS_RUN != 0
        context = _look_up(self._context, letters & tables.POINT)
        order = tf.bitwise.right_shift(context, tables.COMBINING_SHIFT)
        # Without that bit it is in a word that is never split, and stays where it is.
        order = tf.where(letters & tables.MOVABLE != 0, order, 0)
        run = tf.gather(tf.cumsum(tf.cast(starts_run, tf.int64)), sources)
        run += tf.cumsum(tf.cast(order == 0, tf.int64))
        return tf.gather(letters, tf.argsort(run * 256 + tf.cast(order, tf.int64), stable=True))

    def _with_long_words_unknown(self, letters):
        """Writes the words that are [UNK] for their length with a letter that no piece has."""
        is_break = letters & (tables.BLANK | tables.ALONE) != 0
        breaks = tf.where(is_break)[:, 0]  # the last one is the blank at the end

        def respelt():
            word = tf.cumsum(tf.cast(is_break, tf.int32))
            in_word = tf.cast(~is_break, tf.int32)
            lengths = tf.math.unsorted_segment_sum(in_word, word, tf.size(breaks) + 1)
            return tf.where(
                (tf.gather(lengths, word) > MAX_WORD_LENGTH) & ~is_break, self._unknown_letter, letters
            )

        longest = tf.reduce_max(breaks - tf.concat([[-1], breaks[:-1]], axis=0)) - 1
        return tf.cond(longest > MAX_WORD_LENGTH, respelt, lambda: letters)

    def _with_kept_words(self, points, chars):
        """Words that are never split stay as they are written."""
        kept = (_look_up(self._kept_forms, points) + points[:, None])[:, 0]  # one character a point
        kept_points = _letters_of_words(kept, self._never_split)
        marked = tf.scatter_nd(kept_points[:, None], tf.ones_like(kept_points), tf.shape(points, tf.int64))
        rest = tf.fill([tf.size(points), chars.shape[1] - 1], tables.NOTHING)
        return tf.where(marked[:, None] > 0, tf.concat([kept[:, None], rest], axis=1), chars)


def _used(chars, width, point_splits):
    """The characters in use.

    Returns:
        (letters, sources, splits): the characters with their bits; the point each is from; how many there are
        before each text, and in all.
    """

    def squeezed():
        used = tf.where(chars >= 0)[:, 0]
        splits = tf.searchsorted(used, point_splits * tf.cast(width, tf.int64), out_type=tf.int64)
        return tf.gather(chars, used), used // tf.cast(width, tf.int64), splits

    def unchanged():
        return chars, tf.range(tf.size(chars, tf.int64)), point_splits

    return tf.cond((tf.reduce_min(chars) >= 0) & (width == 1), unchanged, squeezed)


def _letters_of_words(chars, candidates: list[str]):
    """The places of the letters of all words that equal one of the candidates; int64 tensor."""
    is_break = (chars >= 0) & (chars & (tables.BLANK | tables.ALONE) != 0)
    used = tf.where((chars >= 0) & (chars & tables.BLANK == 0))[:, 0]
    breaks = tf.gather(tf.cumsum(tf.cast(is_break, tf.int32), exclusive=True), used)
    opens = tf.gather(is_break, used) | tf.concat([[True], breaks[1:] != breaks[:-1]], axis=0)
    letters = tf.gather(chars, used) & tables.POINT
    words = tf.RaggedTensor.from_row_starts(letters, tf.where(opens)[:, 0], validate=False)
    strings = tf.strings.unicode_encode(words, "UTF-8")
    found = tf.reduce_any(strings[:, None] == tf.constant(candidates)[None, :], axis=1)
    return tf.boolean_mask(used, spread(tf.cast(found, tf.int32), words.row_splits) > 0)


def _look_up(table: tables.PagedTable, points):
    block = tf.gather(table.pages, tf.bitwise.right_shift(points, tables.PAGE_BITS))
    return tf.gather(table.blocks, block * tables.PAGE_SIZE + (points & (tables.PAGE_SIZE - 1)))


def _constants(table: tables.PagedTable) -> tables.PagedTable:
    return tables.PagedTable(*map(tf.constant, table))


def check_sizes(spelt_pieces, vocabulary):
    """Refuses pieces that tensorflow-text does not support."""
    for index, piece in enumerate(spelt_pieces):
        if len(piece.encode()) > MAX_BYTES_PER_PIECE:
            original = vocabulary.pieces[index] if index < len(vocabulary) else "of a word never split"
            raise VocabularyError(
                f"the piece {original[:20]!r}... is too long for the graph",
                where=f"vocabulary:{index + 1}",
                expected=f"at most {MAX_BYTES_PER_PIECE} bytes",
                remedy="tokenise in Python with Tokenizer.encode",
            )

"""`InGraphTokenizer`: the tokeniser as TensorFlow operations, for tf.data, tf.function and SavedModels.

tensorflow-text's WordPiece does the cutting. Calm texts (ASCII words, and ideographs and punctuation that
stay as they are) go straight into it; all others are first spelt for it by `in_graph_spelling.py`. Both ways
give the ids of `Tokenizer.encode`.

Shape letters: B texts, P pieces of a text, W windows, T tokens of a sequence; () marks a ragged axis.
"""

import re
from collections.abc import Iterable

import tensorflow as tf

from keras_bert.errors import MissingExtraError
from keras_bert.text import in_graph_sequence as sequences
from keras_bert.text.in_graph_offsets import (
    characters_before,
    letters_of,
    num_replaced,
    spread,
    utf16_offsets,
)
from keras_bert.text.in_graph_spelling import Speller, check_sizes
from keras_bert.text.sequence import check_stride
from keras_bert.text.spelling import calm_characters, spelling_for
from keras_bert.text.wordpiece import MAX_WORD_LENGTH

try:
    import tensorflow_text
except ImportError as error:
    raise MissingExtraError(
        "the tokeniser inside the graph needs tensorflow-text, which is not installed",
        where="Tokenizer.in_graph",
        expected="tensorflow-text of the same version as TensorFlow (there is none for Windows)",
        remedy="pip install tensorflow-text, or tokenise in Python with Tokenizer.encode",
    ) from error

_ASCII_LETTER, _ASCII_BREAKS = "[0-9A-Za-z]", r"\t\n\r !-/:-@\[-`{-~"
_MAX_BYTES_PER_LETTER = 4


class InGraphTokenizer(tf.Module):
    """The operations of a `Tokenizer`; what they need travels inside the graph.

        in_graph = tokenizer.in_graph()
        in_graph(tf.constant(["unaffable"]))              # <tf.RaggedTensor [[14477, 20961, 3468]]>
        dataset.map(lambda row: in_graph.features(row["text"], max_length=128))

    Args:
        tokenizer: `Tokenizer`. Vocabulary and options.
        allow_special: iterable of str. Special tokens that count where they are written in a text, such as
            `["[MASK]"]`.

    Raises:
        VocabularyError: a piece is longer than tensorflow-text supports.
        UsageError: `allow_special` names something else than a special token.
    """

    def __init__(self, tokenizer, allow_special: Iterable[str] = ()):
        super().__init__(name="in_graph_tokenizer")
        vocabulary, options = tokenizer.vocabulary, (tokenizer.lowercase, tokenizer.strip_accents)
        special = vocabulary.check_special(allow_special)
        spelling = spelling_for(vocabulary.ids, tokenizer.split_chinese, tokenizer.never_split, special)
        check_sizes(spelling.pieces, vocabulary)
        self.max_length = tokenizer.max_length
        self.pad_id, self.cls_id, self.sep_id = vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id
        self.unk_id, self.num_pieces = vocabulary.unk_id, len(vocabulary)
        self._lowercase = tokenizer.lowercase
        breaks = _ASCII_BREAKS + calm_characters(*options, tokenizer.split_chinese, spelling.letters)
        word = f"{_ASCII_LETTER}{{0,{MAX_WORD_LENGTH}}}"
        self._calm = f"(?:{word}[{breaks}])*{word}"
        self._is_ever_calm = not tokenizer.never_split
        self._with_special = f"(?s).*(?:{'|'.join(map(re.escape, special))}).*" if special else None
        self._speller = Speller(*options, tokenizer.split_chinese, tokenizer.never_split, spelling)
        self._num_pieces, self._extra_ids = len(vocabulary), spelling.extra_ids
        letters = {chr(letter): len(token) for token, letter in spelling.special_letters.items()}
        self._extra_lengths = [letters.get(piece, 0) for piece in spelling.pieces[self._num_pieces :]]
        with tf.init_scope(), tf.device("/CPU:0"):
            self._wordpiece = tensorflow_text.FastWordpieceTokenizer(
                vocab=spelling.pieces,
                max_bytes_per_word=MAX_WORD_LENGTH * _MAX_BYTES_PER_LETTER,
                token_out_type=tf.int32,
            )

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids of the bare pieces, as `Tokenizer.encode(..., special_tokens=False)`.

        Args:
            texts: string tensor [B], UTF-8; what cannot be decoded is dropped.

        Returns:
            int32 ragged tensor [B, (P)].
        """
        return self._pieces(texts, with_offsets=False)[0]

    def tokenize_with_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Ids of the bare pieces, and where each comes from in its text.

        Args:
            texts: string tensor [B], UTF-8.

        Returns:
            (ids, starts, ends), int32 ragged tensors [B, (P)]; starts and ends count the code points of the
            original text, ends exclusive; an undecodable byte sequence counts as one U+FFFD.
        """
        return self._pieces(texts, with_offsets=True)

    def num_replaced(self, texts: tf.Tensor) -> tf.Tensor:
        """How many byte sequences of each text are not UTF-8 and were dropped, as `Encoding.num_replaced`.

        Args:
            texts: string tensor [B].

        Returns:
            int32 tensor [B].
        """
        return num_replaced(texts)

    def utf16_offsets(self, texts: tf.Tensor, offsets: tf.RaggedTensor) -> tf.RaggedTensor:
        """Offsets in UTF-16 code units, as JavaScript, Java and C# count.

        Args:
            texts: string tensor [B].
            offsets: int32 ragged tensor [B, (P)]. In code points of each text: `starts` or `ends`.

        Returns:
            int32 ragged tensor [B, (P)].
        """
        return utf16_offsets(texts, offsets)

    def pack(
        self,
        ids_a: tf.RaggedTensor,
        ids_b: tf.RaggedTensor | None = None,
        max_length: int | None = None,
        truncation: str = "longest_first",
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Truncates and frames pieces: `[CLS] A [SEP] (B [SEP])`, as `Tokenizer.encode` does.

        Args:
            ids_a: int32 ragged tensor [B, (P)]. Pieces of the texts A.
            ids_b: int32 ragged tensor [B, (P)] or None. Pieces of the texts B.
            max_length: int or None. Truncate to so many tokens; None means the tokeniser's `max_length`.
            truncation: str. `"longest_first"` or `"only_second"`.

        Returns:
            (token_ids, segment_ids), int32 ragged tensors [B, (T)].

        Raises:
            UsageError: `max_length` has no room for the special tokens, or an unknown `truncation`.
        """
        parts = [ids_a] if ids_b is None else [ids_a, ids_b]
        max_length = self.max_length if max_length is None else max_length
        parts = sequences.truncated(parts, max_length, truncation)
        frames = sequences.Frames(parts)
        token_ids = frames([part.values for part in parts], self.cls_id, (self.sep_id, self.sep_id))
        return token_ids, frames((0, 1), 0, (0, 1))

    def features(
        self,
        texts: tf.Tensor,
        text_pairs: tf.Tensor | None = None,
        max_length: int | None = None,
        truncation: str = "longest_first",
    ) -> dict[str, tf.Tensor]:
        """What the encoder reads, padded to the longest sequence of the batch.

        Args:
            texts: string tensor [B]. The texts A.
            text_pairs: string tensor [B] or None. The texts B.
            max_length: int or None. As in `pack`.
            truncation: str. As in `pack`.

        Returns:
            Dict of `token_ids`, `segment_ids`, `padding_mask`, int32 tensors [B, T].
        """
        parts = [ids for (ids,) in self._pieces_of_all(texts, text_pairs, with_offsets=False)]
        token_ids, segment_ids = self.pack(*parts, max_length=max_length, truncation=truncation)
        return sequences.padded(token_ids, segment_ids, self.pad_id)

    def features_with_offsets(self, texts: tf.Tensor, max_length: int | None = None) -> dict[str, tf.Tensor]:
        """`features` of texts [B], and `starts` and `ends`, int32 [B, T] too: where each piece stands.

        These count code points and are 0 for special tokens and padding.
        """
        max_length = self.max_length if max_length is None else max_length
        pieces = self.tokenize_with_offsets(texts)
        [ids], [starts], [ends] = (sequences.truncated([part], max_length) for part in pieces)
        frames = sequences.Frames([ids])
        starts, ends = (frames([part.values], 0, (0,)) for part in (starts, ends))
        token_ids = frames([ids.values], self.cls_id, (self.sep_id,))
        made = sequences.padded(token_ids, frames((0,), 0, (0,)), self.pad_id)
        return {**made, "starts": starts.to_tensor(0), "ends": ends.to_tensor(0)}

    def windows(
        self,
        texts: tf.Tensor,
        text_pairs: tf.Tensor | None = None,
        max_length: int | None = None,
        stride: int = 128,
    ) -> dict[str, tf.Tensor | tf.RaggedTensor]:
        """Long texts as overlapping sequences, as `Tokenizer.windows`.

        Args:
            texts: string tensor [B]. The texts, or of pairs the part every window repeats (the questions).
            text_pairs: string tensor [B] or None. The long texts of pairs (the contexts).
            max_length: int or None. Length of a window; None means the tokeniser's `max_length`.
            stride: int. Pieces from the start of one window to the start of the next.

        Returns:
            Dict of int32 ragged tensors [W, (T)]: `token_ids`, `segment_ids`, `sequence_ids` (-1 for special
            tokens, 0 for the first text, 1 for the pair), `starts`, `ends` (offsets into the whole text, 0
            for special tokens); and `row`, int32 [W]: which text a window is of, ascending.

        Raises:
            UsageError: no `max_length`, one without room for text, or a stride below 1.
        """
        max_length = self.max_length if max_length is None else max_length
        check_stride(stride, max_length, is_pair=text_pairs is not None)
        parts = self._pieces_of_all(texts, text_pairs, with_offsets=True)
        return sequences.windows_of(parts, max_length, stride, self.cls_id, self.sep_id)

    def _pieces_of_all(self, texts, text_pairs, with_offsets: bool) -> list[tuple[tf.RaggedTensor, ...]]:
        """`_pieces` of the texts and of the pairs, if there are any, in one go."""
        if text_pairs is None:
            return [self._pieces(texts, with_offsets)]
        texts, text_pairs = sequences.texts_tensor(texts), sequences.texts_tensor(text_pairs)
        return sequences.parted(
            self._pieces(tf.concat([texts, text_pairs], axis=0), with_offsets), tf.size(texts)
        )

    # Its branches are tf.cond already; converting it took most of the time of tracing.
    @tf.autograph.experimental.do_not_convert
    def _pieces(self, texts, with_offsets: bool) -> tuple[tf.RaggedTensor, ...]:
        """(ids,) or (ids, starts, ends) of the bare pieces."""
        texts = sequences.texts_tensor(texts)
        with tf.device("/CPU:0"):  # string operations exist nowhere else; no hopping to and fro
            if not self._is_ever_calm:
                return self._spelt(texts, with_offsets)
            is_calm = tf.strings.regex_full_match(texts, self._calm)
            if self._with_special:
                is_calm &= ~tf.strings.regex_full_match(texts, self._with_special)
            return tf.cond(
                tf.reduce_all(is_calm),
                lambda: self._calm_as_it_is(texts, with_offsets),
                lambda: self._mixed(texts, is_calm, with_offsets),
            )

    def _mixed(self, texts, is_calm, with_offsets: bool):
        """Every text its own way, then back into the order they came in."""
        order = tf.concat([tf.where(is_calm)[:, 0], tf.where(~is_calm)[:, 0]], axis=0)
        back = tf.math.invert_permutation(order)
        calm = self._calm_as_it_is(tf.boolean_mask(texts, is_calm), with_offsets)
        spelt = self._spelt(tf.boolean_mask(texts, ~is_calm), with_offsets)
        return tuple(tf.gather(tf.concat(pair, axis=0), back) for pair in zip(calm, spelt, strict=True))

    def _calm_as_it_is(self, texts, with_offsets: bool):
        """Texts in which lower-casing byte by byte is exact and nothing else changes."""
        ids, starts, ends = self._wordpiece.tokenize_with_offsets(
            tf.strings.lower(texts) if self._lowercase else texts
        )
        if not with_offsets:
            return (ids,)

        def in_characters():
            base = spread(characters_before(texts), ids.row_splits)
            return tuple(places - base for places in letters_of(texts, starts, ends))

        def in_bytes():
            return tf.cast(starts.values, tf.int32), tf.cast(ends.values, tf.int32)

        is_ascii = tf.reduce_all(tf.strings.length(texts) == tf.strings.length(texts, unit="UTF8_CHAR"))
        return ids, *map(ids.with_values, tf.cond(is_ascii, in_bytes, in_characters))

    def _spelt(self, texts, with_offsets: bool):
        """Any text."""
        spelt = self._speller(texts)
        ids, starts, ends = self._wordpiece.tokenize_with_offsets(spelt.strings)
        spans = self._speller.spans(spelt, starts, ends) if with_offsets else ()
        values = [ids.values, *(tf.cast(places, tf.int32) for places in spans)]
        if self._extra_ids:
            values = self._with_extras_named(*values)
        return tuple(map(ids.with_values, values))

    def _with_extras_named(self, ids, *spans):
        """The ids of words that were never split and of special tokens; the latter are as long as written."""
        extra = tf.maximum(ids - self._num_pieces, 0)
        is_extra = ids >= self._num_pieces
        ids = tf.where(is_extra, tf.gather(self._extra_ids, extra), ids)
        if not spans:
            return (ids,)
        starts, ends = spans
        lengths = tf.where(is_extra, tf.gather(self._extra_lengths, extra), 0)
        return ids, starts, tf.where(lengths > 0, starts + lengths, ends)

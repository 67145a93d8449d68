"""`InGraphTokenizer`: the tokeniser as TensorFlow operations, for tf.data, tf.function and SavedModels.

Texts of printable ASCII go straight through tensorflow-text's WordPiece; all others are first cut into
words by `in_graph_words.py`. Both ways give the ids of `Tokenizer.encode`.

Shape letters: B texts, P pieces of a text, W windows, T tokens of a sequence; () marks a ragged axis.
"""

import tensorflow as tf

from keras_bert.errors import MissingExtraError, UsageError, VocabularyError
from keras_bert.text.in_graph_words import WordCutter, is_one_of
from keras_bert.text.sequence import check_stride, room_for_pieces, truncated_lengths, window_room
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

_PRINTABLE_ASCII = r"[\t\n\r -~]*"
_MAX_BYTES_PER_LETTER = 4
_MAX_BYTES_PER_PIECE = 256  # what tensorflow-text's WordPiece supports


class InGraphTokenizer(tf.Module):
    """The operations of a `Tokenizer`; what they need travels inside the graph.

        in_graph = tokenizer.in_graph()
        in_graph(tf.constant(["unaffable"]))              # <tf.RaggedTensor [[14477, 20961, 3468]]>
        dataset.map(lambda row: in_graph.features(row["text"], max_length=128))

    Args:
        tokenizer: `Tokenizer`. Vocabulary and options.

    Raises:
        VocabularyError: a piece is longer than tensorflow-text supports.
    """

    def __init__(self, tokenizer):
        super().__init__(name="in_graph_tokenizer")
        vocabulary = tokenizer.vocabulary
        for index, piece in enumerate(vocabulary):
            if len(piece.encode()) > _MAX_BYTES_PER_PIECE:
                raise VocabularyError(
                    f"the piece {piece[:20]!r}... is too long for the graph",
                    where=f"vocabulary:{index + 1}",
                    expected=f"at most {_MAX_BYTES_PER_PIECE} bytes",
                    remedy="tokenise in Python with Tokenizer.encode",
                )
        self.max_length = tokenizer.max_length
        self.pad_id, self.cls_id, self.sep_id = vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id
        self._lowercase = tokenizer.lowercase
        self._has_plain_way = not tokenizer.never_split
        self._unknown_words = [word for word in tokenizer.never_split if word not in vocabulary]
        # A letter no piece contains: a word written with it is [UNK].
        alphabet = {char for piece in vocabulary for char in piece}
        self._foreign_letter = next(point for point in range(0xE000, 0x110000) if chr(point) not in alphabet)
        self._cut_words = WordCutter(
            tokenizer.lowercase, tokenizer.strip_accents, tokenizer.split_chinese, tokenizer.never_split
        )
        with tf.init_scope(), tf.device("/CPU:0"):
            self._plain_wordpiece = _wordpiece(vocabulary.pieces, MAX_WORD_LENGTH, words_only=False)
            self._wordpiece = _wordpiece(
                vocabulary.pieces, MAX_WORD_LENGTH * _MAX_BYTES_PER_LETTER, words_only=True
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
        if max_length is not None:
            room = room_for_pieces(max_length, is_pair=len(parts) == 2)
            lengths = [ids.row_lengths() for ids in parts]
            if len(parts) == 1:
                kept = [tf.minimum(lengths[0], room)]
            else:
                kept = truncated_lengths(*lengths, room, truncation, tf.minimum, tf.maximum)
            parts = [_slices(ids, ids.row_starts(), length) for ids, length in zip(parts, kept, strict=True)]
        return self._framed_ids(parts), _framed(_numbered(parts), 0, (0, 1))

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
        ids_b = None if text_pairs is None else self(text_pairs)
        token_ids, segment_ids = self.pack(self(texts), ids_b, max_length, truncation)
        return {
            "token_ids": token_ids.to_tensor(self.pad_id),
            "segment_ids": segment_ids.to_tensor(0),
            "padding_mask": tf.ones_like(token_ids).to_tensor(0),
        }

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
        parts = [self.tokenize_with_offsets(part) for part in (texts, text_pairs) if part is not None]
        *repeated, long = parts
        room = room_for_pieces(max_length, is_pair=len(parts) == 2)
        lengths = long[0].row_lengths()
        repeated_lengths = repeated[0][0].row_lengths() if repeated else tf.zeros_like(lengths)
        repeated_kept, room = window_room(repeated_lengths, room, tf.minimum)  # (B,)
        step = tf.minimum(room, stride)
        counts = 1 + (tf.maximum(lengths - room, 0) + step - 1) // step  # (B,) windows of each text
        row = tf.repeat(tf.range(tf.size(lengths)), counts)  # (W,)
        first_pieces = tf.ragged.range(counts).values * tf.gather(step, row)
        sizes = tf.minimum(tf.gather(room, row), tf.gather(lengths, row) - first_pieces)
        long = [_slices(part, tf.gather(part.row_starts(), row) + first_pieces, sizes) for part in long]
        if repeated:
            kept = [tf.gather(_slices(part, part.row_starts(), repeated_kept), row) for part in repeated[0]]
            ids, starts, ends = zip(kept, long, strict=True)
        else:
            ids, starts, ends = ([part] for part in long)
        return {
            "token_ids": self._framed_ids(ids),
            "segment_ids": _framed(_numbered(ids), 0, (0, 1)),
            "sequence_ids": _framed(_numbered(ids), -1, (-1, -1)),
            "starts": _framed(starts, 0, (0, 0)),
            "ends": _framed(ends, 0, (0, 0)),
            "row": row,
        }

    def _pieces(self, texts, with_offsets: bool) -> tuple[tf.RaggedTensor, ...]:
        """(ids,) or (ids, starts, ends) of the bare pieces."""
        texts = tf.convert_to_tensor(texts, tf.string)
        if texts.shape.rank not in (1, None):
            raise UsageError(
                f"texts have the shape {texts.shape}", where="texts", expected="[B], one string a text"
            )
        with tf.device("/CPU:0"):  # string operations exist nowhere else; no hopping to and fro
            if not self._has_plain_way:
                return self._exact(texts, with_offsets)
            is_plain = tf.strings.regex_full_match(texts, _PRINTABLE_ASCII)
            return tf.cond(
                tf.reduce_all(is_plain),
                lambda: self._plain(texts, with_offsets),
                lambda: self._mixed(texts, is_plain, with_offsets),
            )

    def _mixed(self, texts, is_plain, with_offsets: bool):
        """Every text its own way, then back into the order they came in."""
        order = tf.concat([tf.where(is_plain)[:, 0], tf.where(~is_plain)[:, 0]], axis=0)
        back = tf.math.invert_permutation(order)
        plain = self._plain(tf.boolean_mask(texts, is_plain), with_offsets)
        exact = self._exact(tf.boolean_mask(texts, ~is_plain), with_offsets)
        return tuple(tf.gather(tf.concat(pair, axis=0), back) for pair in zip(plain, exact, strict=True))

    def _plain(self, texts, with_offsets: bool):
        """Printable ASCII: lower-casing byte by byte is exact, and a byte is a code point."""
        if self._lowercase:
            texts = tf.strings.lower(texts)
        results = self._plain_wordpiece.tokenize_with_offsets(texts)
        return tuple(tf.cast(result, tf.int32) for result in results[: 3 if with_offsets else 1])

    def _exact(self, texts, with_offsets: bool):
        """Any text: cut into words first."""
        words = self._cut_words(texts)
        letters = self._with_unknown_respelt(words.letters)
        words = words._replace(letters=letters)
        ids, starts, ends = self._wordpiece.tokenize_with_offsets(tf.strings.unicode_encode(letters, "UTF-8"))
        splits = tf.gather(ids.row_splits, words.before)
        results = [ids.values]
        if with_offsets:
            text_starts = tf.repeat(words.points.row_splits[:-1], splits[1:] - splits[:-1])
            results += [place - text_starts for place in self._cut_words.spans(words, starts, ends)]
        return tuple(
            tf.RaggedTensor.from_row_splits(tf.cast(values, tf.int32), splits, validate=False)
            for values in results
        )

    def _with_unknown_respelt(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Spells the words that are [UNK] whatever the pieces are with a letter that no piece has."""
        lengths = words.row_lengths()
        unknown = lengths > MAX_WORD_LENGTH
        if self._unknown_words:
            unknown |= is_one_of(words, self._unknown_words)

        def respelt():
            return tf.where(tf.repeat(unknown, lengths), self._foreign_letter, words.values)

        return words.with_values(tf.cond(tf.reduce_any(unknown), respelt, lambda: words.values))

    def _framed_ids(self, parts):
        return _framed(parts, self.cls_id, (self.sep_id, self.sep_id))


def _wordpiece(pieces, max_bytes: int, words_only: bool):
    return tensorflow_text.FastWordpieceTokenizer(
        vocab=list(pieces),
        max_bytes_per_word=max_bytes,
        token_out_type=tf.int32,
        no_pretokenization=words_only,
    )


def _framed(parts, first: int, lasts: tuple[int, int]) -> tf.RaggedTensor:
    """`first`, then every part with its `last` behind it, row by row."""
    batch = parts[0].nrows()
    sequence = [tf.fill([batch, 1], first)]
    for part, last in zip(parts, lasts, strict=False):
        sequence += [part, tf.fill([batch, 1], last)]
    return tf.concat(sequence, axis=1)


def _numbered(parts) -> list[tf.RaggedTensor]:
    """The parts with 0 for every value of the first and 1 for every value of the second."""
    return [part.with_values(tf.fill(tf.shape(part.values), number)) for number, part in enumerate(parts)]


def _slices(ragged, starts, lengths) -> tf.RaggedTensor:
    """The stretches of the flat values that begin at `starts`, as rows."""
    places = tf.ragged.range(starts, starts + lengths)
    return tf.gather(ragged.values, places)

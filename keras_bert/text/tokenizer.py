"""`Tokenizer`: text to ids, exactly as Google's `tokenization.py` does it; needs no TensorFlow."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_bert.errors import UsageError
from keras_bert.text import settings
from keras_bert.text.normalization import Normalizer
from keras_bert.text.segmenter import Segmenter
from keras_bert.text.sequence import (
    Encoding,
    check_stride,
    join,
    room_for_pieces,
    truncated_lengths,
    window_room,
    window_starts,
)
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.text.wordpiece import CONTINUATION


class Tokenizer:
    """WordPiece tokeniser of BERT.

        tokenizer = Tokenizer("vocab.txt")
        tokenizer.tokenize("unaffable")                   # ["un", "##aff", "##able"]
        tokenizer.encode("a warm film").token_ids         # [101, 1037, 4010, 2143, 102]

    Text never turns into a special token by itself: "[SEP]" becomes the pieces `[`, `sep`, `]`.

    Args:
        vocabulary: str, path, sequence of str or `Vocabulary`. The pieces, or the file that holds them.
        lowercase: bool. Map to lower case: True for uncased and Chinese checkpoints.
        strip_accents: bool or None. Strip accents; None follows `lowercase`.
        split_chinese: bool. Make every ideograph a word of its own.
        never_split: sequence of str. Whitespace-delimited words that are left exactly as they are and
            looked up whole. Special tokens among them are ignored: see `allow_special` of `encode`.
        max_length: int or None. Length that sequences with special tokens are truncated to by default.

    Raises:
        VocabularyError: the vocabulary is ambiguous or lacks a special token.
        UsageError: a word of `never_split` is empty, longer than 200 characters or starts with an accent.
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike | Sequence[str] | Vocabulary,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        never_split: Sequence[str] = (),
        max_length: int | None = None,
    ):
        if isinstance(vocabulary, str | os.PathLike):
            vocabulary = Vocabulary.from_file(vocabulary)
        elif not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary(vocabulary)
        self.vocabulary = vocabulary
        self.lowercase = bool(lowercase)
        self.strip_accents = self.lowercase if strip_accents is None else bool(strip_accents)
        self.split_chinese = bool(split_chinese)
        self.never_split = tuple(word for word in never_split if word not in vocabulary.special_ids)
        self.max_length = max_length
        self.hf_settings: dict = {}
        normalizer = Normalizer(self.lowercase, self.strip_accents, self.split_chinese, self.never_split)
        self._segmenter = Segmenter(vocabulary, normalizer)
        self._frame_ids = (vocabulary.cls_id, vocabulary.sep_id)

    @classmethod
    def from_folder(cls, folder: str | os.PathLike, lowercase: bool | None = None) -> "Tokenizer":
        """The tokeniser of a Hugging Face folder.

        Args:
            folder: str or path. Holds vocab.txt (or tokenizer.json) and, usually, tokenizer_config.json.
            lowercase: bool or None. Overrides what the folder says.

        Returns:
            The `Tokenizer`; what the folder says beyond our options is kept in `hf_settings`.

        Raises:
            VocabularyError: a file is missing or damaged, or the folder is another kind of tokeniser's.
        """
        vocabulary, options, raw = settings.read_folder(Path(folder))
        if lowercase is not None:
            options["lowercase"] = lowercase
        tokenizer = cls(vocabulary, **options)
        tokenizer.hf_settings = raw
        return tokenizer

    def save(self, folder: str | os.PathLike):
        """Writes vocab.txt and tokenizer_config.json, as Hugging Face reads them, into an existing folder."""
        settings.write_folder(Path(folder), self)

    def tokenize(self, text: str | bytes) -> list[str]:
        """The pieces of `text`, without special tokens.

        Args:
            text: str or bytes (UTF-8; what cannot be decoded is dropped).

        Returns:
            List of str; a word the vocabulary cannot spell is "[UNK]".
        """
        ids, _ = self._pieces(_as_text(text)[0])
        return [self.vocabulary.pieces[index] for index in ids]

    def encode(
        self,
        text: str | bytes,
        text_pair: str | bytes | None = None,
        max_length: int | None = None,
        special_tokens: bool = True,
        truncation: str = "longest_first",
        allow_special: Iterable[str] = (),
    ) -> Encoding:
        """One text, or a pair, as a BERT reads it: `[CLS] A [SEP] (B [SEP])`.

        Args:
            text: str or bytes. The text A.
            text_pair: str, bytes or None. The text B.
            max_length: int or None. Truncate to so many tokens; None means the tokeniser's `max_length`
                where special tokens are added, and no limit for bare pieces.
            special_tokens: bool. Add [CLS] and [SEP].
            truncation: str. `"longest_first"`, or `"only_second"` to keep A whole as long as it fits.
            allow_special: iterable of str. Special tokens that count where they are written in the text,
                such as `["[MASK]"]`.

        Returns:
            An `Encoding`.

        Raises:
            UsageError: `max_length` has no room for the special tokens, or an unknown option.
        """
        parts, texts, num_replaced = self._parts(text, text_pair, allow_special)
        if max_length is None and special_tokens:
            max_length = self.max_length
        if max_length is not None:
            is_pair = len(parts) == 2
            room = room_for_pieces(max_length, is_pair, special_tokens)
            lengths = [len(ids) for ids, _ in parts]
            kept = truncated_lengths(*lengths, room, truncation) if is_pair else [min(lengths[0], room)]
            parts = [(ids[:length], spans[:length]) for (ids, spans), length in zip(parts, kept, strict=True)]
        special_ids = self._frame_ids if special_tokens else None
        return join(parts, special_ids, texts, num_replaced)

    def ids(self, text: str) -> list[int]:
        """`encode(text, special_tokens=False).token_ids`, without offsets and several times as fast.

        Args:
            text: str.
        Returns:
            List of int.
        """
        return self._segmenter.ids(text)

    def encode_batch(self, texts: Sequence, text_pairs: Sequence | None = None, **options) -> list[Encoding]:
        """`encode` of every text, or of every pair; takes the same options."""
        if text_pairs is None:
            return [self.encode(text, **options) for text in texts]
        if len(texts) != len(text_pairs):
            raise UsageError(
                f"{len(texts)} texts but {len(text_pairs)} text_pairs",
                where="text_pairs",
                expected="one for each text",
            )
        return [self.encode(text, pair, **options) for text, pair in zip(texts, text_pairs, strict=True)]

    def windows(
        self,
        text: str | bytes,
        text_pair: str | bytes | None = None,
        max_length: int | None = None,
        stride: int = 128,
        allow_special: Iterable[str] = (),
    ) -> list[Encoding]:
        """A long text as overlapping sequences; of a pair, the second text is cut and the first repeated.

        Args:
            text: str or bytes. The text, or of a pair the part that every window repeats (the question); cut
                to half of the room where it is longer.
            text_pair: str, bytes or None. The long text of a pair (the context).
            max_length: int or None. Length of a window; None means the tokeniser's `max_length`.
            stride: int. Pieces from the start of one window to the start of the next; a window's worth
                where it is more than that.
            allow_special: iterable of str. As in `encode`.

        Returns:
            List of `Encoding`, in order; offsets count in the whole text. Never empty.

        Raises:
            UsageError: no `max_length`, one without room for text, or a stride below 1.
        """
        max_length = self.max_length if max_length is None else max_length
        check_stride(stride, max_length, is_pair=text_pair is not None)
        parts, texts, num_replaced = self._parts(text, text_pair, allow_special)
        *repeated, (ids, spans) = parts
        room = room_for_pieces(max_length, is_pair=len(parts) == 2)
        kept, room = window_room(len(repeated[0][0]) if repeated else 0, room)
        repeated = [(first_ids[:kept], first_spans[:kept]) for first_ids, first_spans in repeated]
        windows = []
        for start in window_starts(len(ids), room, stride):
            window = (ids[start : start + room], spans[start : start + room])
            windows.append(join([*repeated, window], self._frame_ids, texts, num_replaced))
        return windows

    def decode(self, token_ids: Iterable[int], skip_special: bool = True) -> str:
        """The text that ids spell, words separated by one space.

        Args:
            token_ids: iterable of int.
            skip_special: bool. Leave special tokens out.

        Returns:
            str.

        Raises:
            UsageError: an id the vocabulary does not have.
        """
        special = set(self.vocabulary.special_ids.values()) - {self.vocabulary.unk_id} if skip_special else ()
        words = []
        for index in map(int, token_ids):
            if not 0 <= index < len(self.vocabulary):
                raise UsageError(
                    f"id {index} is not in the vocabulary",
                    where="token_ids",
                    expected=f"0 to {len(self.vocabulary) - 1}",
                )
            piece = self.vocabulary.pieces[index]
            if index in special:
                continue
            if words and piece.startswith(CONTINUATION) and len(piece) > len(CONTINUATION):
                words[-1] += piece.removeprefix(CONTINUATION)
            else:
                words.append(piece)
        return " ".join(words)

    def in_graph(self, allow_special: Iterable[str] = ()):
        """The same tokeniser as TensorFlow operations: an `InGraphTokenizer`.

        Args:
            allow_special: iterable of str. As in `encode`, for every text this one sees.
        """
        from keras_bert.text.in_graph import InGraphTokenizer

        return InGraphTokenizer(self, allow_special)

    def _parts(self, text, text_pair, allow_special):
        """(ids, spans) of the text and of its pair; the texts; how many U+FFFD stand for bytes."""
        decoded = [_as_text(part) for part in (text, text_pair) if part is not None]
        allowed = self._allowed(allow_special)
        parts = [self._pieces(part, allowed) for part, _ in decoded]
        return parts, tuple(part for part, _ in decoded), sum(count for _, count in decoded)

    def _allowed(self, allow_special: Iterable[str]) -> re.Pattern | None:
        allow_special = self.vocabulary.check_special(allow_special)
        return re.compile("|".join(map(re.escape, allow_special))) if allow_special else None

    def _pieces(
        self, text: str, allowed: re.Pattern | None = None
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and spans of the pieces of `text`, without added special tokens."""
        if allowed is None:
            return self._segmenter.pieces(text)
        ids, spans, end = [], [], 0
        for match in [*allowed.finditer(text), None]:
            stretch = text[end:] if match is None else text[end : match.start()]
            stretch_ids, stretch_spans = self._segmenter.pieces(stretch, base=end)
            ids += stretch_ids
            spans += stretch_spans
            if match is not None:
                ids.append(self.vocabulary.id(match[0]))
                spans.append(match.span())
                end = match.end()
        return ids, spans


def _as_text(text: str | bytes) -> tuple[str, int]:
    """The text, and how many U+FFFD in it stand for bytes that are not UTF-8."""
    if isinstance(text, str):
        return text, 0
    if not isinstance(text, bytes):
        raise UsageError(f"a text is a {type(text).__name__}", where="text", expected="str or bytes")
    decoded = text.decode("utf-8", errors="replace")
    return decoded, decoded.count("\ufffd") - text.count("\ufffd".encode())

"""Another vocabulary for the same network: rows of kept pieces move, new ones begin as a mean of old ones.

covid  ->  co ##vid          row(covid) = (row(co) + row(##vid)) / 2
"""

import collections
import copy
import re
import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from keras_bert.checkpoints.name_table import ROWS
from keras_bert.errors import UsageError, VocabularyError
from keras_bert.text.normalization import Normalizer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import CLS, MASK, PAD, SEP, UNK, Vocabulary
from keras_bert.text.wordpiece import CONTINUATION, MAX_WORD_LENGTH, WordPiece

_SPECIAL = (PAD, UNK, CLS, SEP, MASK)
_UNUSED = re.compile(r"\[unused\d+\]")
_BRACKETED = re.compile(r"\[\w+\]")  # [MASK], [unused7]: never read from texts, and meant so
_TABLES = {row.ours: row.shape.index("V") for row in ROWS if "V" in row.shape}  # path: the axis of the pieces
_NEVER = -1e4  # output bias of a padding row: no softmax sees it, and float16 can hold it
_SHOWN = 8


def extend_vocabulary(vocabulary: Vocabulary, pieces: Iterable[str], use_unused: bool = True) -> Vocabulary:
    """A vocabulary with more pieces; every old piece but `[unused..]` slots keeps its id.

        extend_vocabulary(vocabulary, ["covid", "##mab"])      # in place of [unused0] and [unused1]

    Args:
        vocabulary: `Vocabulary`.
        pieces: iterable of str. The new ones, continuations written with a leading `##`.
        use_unused: bool. Fill the `[unused..]` slots first, in their order; what is left over is appended.
            False appends all.

    Returns:
        `Vocabulary`.

    Raises:
        VocabularyError: a piece that is there already, is given twice, is a special token, or is no piece.
    """
    if isinstance(pieces, str):
        raise VocabularyError(f"The pieces are one text: {pieces!r}", where="pieces", expected="several str")
    pieces = list(pieces)
    _check_new(vocabulary, pieces)
    result = list(vocabulary.pieces)
    slots = [place for place, piece in enumerate(result) if use_unused and _UNUSED.fullmatch(piece)]
    for place, piece in zip(slots, pieces, strict=False):
        result[place] = piece
    return Vocabulary([*result, *pieces[len(slots) :]], source="the extended vocabulary")


def _check_new(vocabulary, pieces):
    for piece in pieces:
        # A blank at an end or a line break inside would be lost in a vocab.txt, which has one piece a line.
        if not isinstance(piece, str) or piece != piece.strip() or not piece or re.search(r"[\r\n]", piece):
            raise VocabularyError(
                f"{piece!r} cannot be a piece",
                where="pieces",
                expected="str without blanks around it and without line breaks",
            )
    faults = {
        "are special tokens, whose meaning is fixed": [p for p in pieces if p in _SPECIAL],
        "are in the vocabulary already": [p for p in pieces if p in vocabulary],
        "are given twice": [p for p, count in collections.Counter(pieces).items() if count > 1],
    }
    for fault, named in faults.items():
        if named:
            raise VocabularyError(
                f"These pieces {fault}: {_listed(named)}",
                where="pieces",
                expected="pieces that the vocabulary does not have, each once",
                remedy="leave them out",
            )


def _listed(pieces) -> str:
    more = f" and {len(pieces) - _SHOWN} more" if len(pieces) > _SHOWN else ""
    return ", ".join(map(repr, pieces[:_SHOWN])) + more


class VocabularyChange:
    """What the step from one vocabulary to another does to a network.

    A piece of both vocabularies keeps its row, bit for bit, wherever it stands now. A new piece begins as the
    mean of the rows of the pieces into which the old tokeniser cuts it; of `##x`, into which it cuts an `x`
    that continues a word. Only what it cannot spell either way begins as [UNK]. Rows of pieces that are gone
    go, and so do rows beyond the old vocabulary.

    Args:
        old: `Tokenizer`. The model's.
        vocabulary: path, sequence of str or `Vocabulary`. The new one.
        pad_to_multiple: int or None. Round the number of rows up to a multiple; the rows beyond the
            vocabulary are zeros, which a masked LM never predicts.

    Attributes:
        tokenizer: `Tokenizer` of the new vocabulary, with every option of the old.
        num_rows: int. Of the new tables.
        new_pieces: list of str.
        unreadable: list of str. The new pieces that no text is ever cut into, such as "covid-19", which is
            three words to BERT, or "Covid" where texts are lower-cased.

    Raises:
        VocabularyError: the new vocabulary is ambiguous or lacks a special token.
        UsageError: `pad_to_multiple` is no positive integer.
    """

    def __init__(self, old: Tokenizer, vocabulary, pad_to_multiple: int | None = None):
        self._old = old.vocabulary
        self.tokenizer = Tokenizer(
            vocabulary,
            lowercase=old.lowercase,
            strip_accents=old.strip_accents,
            split_chinese=old.split_chinese,
            never_split=old.never_split,
            max_length=old.max_length,
        )
        self._new = self.tokenizer.vocabulary
        self.tokenizer.hf_settings = self._renumbered_tokens(old.hf_settings)
        self.num_rows = _rounded_up(len(self._new), pad_to_multiple)
        self.new_pieces = [piece for piece in self._new if piece not in self._old]
        kept = [piece for piece in self._new if piece in self._old]
        self._kept_from = np.array([self._old.ids[piece] for piece in kept])
        self._kept_to = np.array([self._new.ids[piece] for piece in kept])
        cut = _Cutter(old)
        self._means = {self._new.ids[piece]: cut(piece) for piece in self.new_pieces}
        normalizer = _normalizer(self.tokenizer, self.tokenizer.never_split)
        self.unreadable = [piece for piece in self.new_pieces if not _is_readable(piece, normalizer)]

    def weights(self, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The weights of the changed network by our paths; all but the tables of pieces as they are."""
        return {
            path: self._table(array, _TABLES[path]) if path in _TABLES else array
            for path, array in weights.items()
        }

    def _table(self, old: np.ndarray, axis: int) -> np.ndarray:
        old = np.moveaxis(old, axis, 0)  # (V, ...)
        new = np.full((self.num_rows, *old.shape[1:]), _NEVER if old.ndim == 1 else 0, old.dtype)
        new[self._kept_to] = old[self._kept_from]
        for place, ids in self._means.items():
            new[place] = old[ids].astype("float64").mean(axis=0)
        return np.moveaxis(new, 0, axis)

    def raw_config(self, raw: dict) -> dict:
        """A `config.json` whose `bos_token_id` and the like name the pieces they named, where still there."""
        return {
            key: self._moved(value) if key.endswith("_token_id") and key != "pad_token_id" else value
            for key, value in raw.items()
        }

    @property
    def warning(self) -> str:
        """What a user should be told about the unreadable pieces; "" where there are none."""
        if not self.unreadable:
            return ""
        return (
            f"{len(self.unreadable)} of {len(self.new_pieces)} new pieces will never be read from a text: "
            f"{_listed(self.unreadable)}. Texts are normalised and split at blanks and punctuation before "
            "they are cut into pieces. To fix: write pieces as the tokeniser writes words, or name whole "
            "words in its never_split."
        )

    def _moved(self, old_id):
        """The new id of the piece that has `old_id`; None where it is gone, other values as they are."""
        if not isinstance(old_id, int) or not 0 <= old_id < len(self._old):
            return old_id
        return self._new.ids.get(self._old.pieces[old_id])

    def _renumbered_tokens(self, settings: dict) -> dict:
        """tokenizer_config.json as Hugging Face wrote it; it may number some pieces a second time."""
        tokens = settings.get("added_tokens_decoder")
        if not isinstance(tokens, dict):
            return settings
        moved = {}
        for token in tokens.values():
            content = token.get("content") if isinstance(token, dict) else token
            if content in self._new:
                moved[str(self._new.ids[content])] = token
        return {**settings, "added_tokens_decoder": moved}


def exchanged(bert, vocabulary, pad_to_multiple: int | None = None):
    """A `Bert` with another vocabulary and the weights of this one; see `Bert.with_vocabulary`."""
    change = VocabularyChange(bert.tokenizer, vocabulary, pad_to_multiple)
    pad_id = change.tokenizer.vocabulary.pad_id
    config = bert.config.replace(vocabulary_size=change.num_rows, pad_token_id=pad_id)
    policy = bert.encoder.get_layer("embeddings").dtype_policy
    # A copy: a task may know the numbers of its vocabulary's pieces.
    new = type(bert)(config, change.tokenizer, copy.copy(bert.task), dtype=policy, blank=True)
    new.raw_config, new.pooling = change.raw_config(bert.raw_config), bert.pooling
    weights = change.weights(bert.weights())
    if bert.task is None and bert.head is not None:
        own = {name: getattr(bert.head_config, name) for name in ("activation", "layer_norm_epsilon")}
        new.add_head(
            bert.head,
            len(weights.get("classifier/bias", ())),
            tied="masked_lm/decoder" not in weights,
            config=config.replace(**own),
        )
        new.head_labels = bert.head_labels
    for top in (new.encoder, new.model, new.head_model):
        for variable in top.weights if top is not None else ():
            variable.assign(weights[variable.path])
    if change.unreadable:
        warnings.warn(change.warning, stacklevel=3)
    return new


class _Cutter:
    """Cuts a new piece into ids of old ones."""

    def __init__(self, old: Tokenizer):
        # Without never_split: the old vocabulary may lack just that word.
        self._normalizer = _normalizer(old)
        ids, self._unk_id = old.vocabulary.ids, old.vocabulary.unk_id
        rests = {
            piece.removeprefix(CONTINUATION): index
            for piece, index in ids.items()
            if piece.startswith(CONTINUATION) and piece != CONTINUATION
        }
        self._initial = WordPiece(ids, self._unk_id)
        # A table in which a word may begin with what continues one.
        self._continuing = WordPiece(
            rests | {CONTINUATION + rest: index for rest, index in rests.items()}, self._unk_id
        )

    def __call__(self, piece: str) -> list[int]:
        """The ids; [UNK]'s alone where nothing of the piece can be spelt."""
        bare, continues = _bare(piece)
        ids = []
        for number, word in enumerate(_words(self._normalizer, bare)):
            ways = [self._initial, self._continuing]
            if continues and number == 0:
                ways.reverse()
            cuts = ([index for index, _, _ in way.cut(word)] for way in ways)
            ids += next((cut for cut in cuts if cut != [self._unk_id]), [])
        return ids or [self._unk_id]


def _bare(piece: str) -> tuple[str, bool]:
    """The letters of a piece, and whether they continue a word."""
    continues = piece.startswith(CONTINUATION) and piece != CONTINUATION
    return (piece.removeprefix(CONTINUATION), True) if continues else (piece, False)


def _normalizer(tokenizer: Tokenizer, never_split=()) -> Normalizer:
    return Normalizer(tokenizer.lowercase, tokenizer.strip_accents, tokenizer.split_chinese, never_split)


def _words(normalizer: Normalizer, text: str) -> list[str]:
    return [word.text for match in normalizer.chunks(text) for word in normalizer.words(match[0])]


def _is_readable(piece: str, normalizer: Normalizer) -> bool:
    """Whether some text is cut into this piece, or the piece is not meant for texts."""
    if _BRACKETED.fullmatch(piece):
        return True
    bare, continues = _bare(piece)
    # Any letter in front shows whether the piece can continue a word.
    text = "a" + bare if continues else piece
    return len(text) <= MAX_WORD_LENGTH and _words(normalizer, text) == [text]


def _rounded_up(count: int, multiple: int | None) -> int:
    if multiple is None:
        return count
    if isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1:
        raise UsageError(
            f"{multiple!r} is no multiple",
            where="pad_to_multiple",
            expected="an integer of 1 or more, or None",
        )
    return -(-count // multiple) * multiple

"""Examples as they come out of records: a part of a shard, decoded, with all that a batch needs."""

import dataclasses

import numpy as np

from keras_bert.corpus.example_proto import decode_examples, decode_google, decode_masked
from keras_bert.corpus.examples import NO_PAIR, Examples, concatenated
from keras_bert.errors import DataError

_TOKEN_FEATURES = ("token_ids", "segment_ids", "padding_mask")


@dataclasses.dataclass(frozen=True)
class Part:
    """N examples.

    Args:
        indices: int64 array (N,). The number of each in the whole corpus.
        lengths: int64 array (N,). Real pieces.
        label: int32 array (N,). `NO_PAIR` where there is none.
        examples: Examples or None. The ids, of records of ours.
        columns: dict of arrays (N, ...). The masks, of records that hold them; of Google's records all.
    """

    indices: np.ndarray
    lengths: np.ndarray
    label: np.ndarray
    examples: Examples | None
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, order) -> "Part":
        """Some of the examples, in the order given."""
        return Part(
            self.indices[order],
            self.lengths[order],
            self.label[order],
            None if self.examples is None else self.examples.take(order),
            {name: rows[order] for name, rows in self.columns.items()},
        )

    def rows(self, length: int, pad_id: int) -> dict[str, np.ndarray]:
        """The examples padded, with their masks if they have any.

        Args:
            length: int. T of token_ids, segment_ids, padding_mask.
            pad_id: int.
        Raises:
            DataError: an example is longer.
        """
        for longest in np.flatnonzero(self.lengths > length)[:1]:
            raise DataError(
                f"Example {self.indices[longest]} has {self.lengths[longest]} pieces",
                where="max_length",
                expected=f"at most {length}",
                remedy="read with a larger max_length, or build the corpus with a smaller --max_seq_length",
            )
        if self.examples is not None:
            return {**self.examples.padded(length, pad_id), **self.columns}
        pads = {"token_ids": pad_id}
        return {
            name: fitted(rows, length, pads.get(name, 0)) if name in _TOKEN_FEATURES else rows
            for name, rows in self.columns.items()
        }


def decoded(kind: str, data, begins, ends, where: str, numbers, indices, num_slots, num_pieces) -> Part:
    """The examples of some records.

    Args:
        kind: str. As `example_proto.kind_of` names it.
        data, begins, ends, where, numbers: as for `decode_examples`.
        indices: int64 array (N,).
        num_slots: int or None. Masked slots of a row, of records of ours that hold their masks.
        num_pieces: int or None. Of the vocabulary, if it is known.
    Raises:
        DataError: a record is not of this kind, or has an id that is not of the vocabulary.
    """
    if kind == "google":
        columns = decode_google(data, begins, ends, where, numbers)
        width = columns["token_ids"].shape[1]
        lengths = (columns["padding_mask"] * np.arange(1, width + 1)).max(axis=1, initial=0)
        label = columns.pop("next_sentence_label", np.full(len(lengths), NO_PAIR, np.int32))
        examples, token_ids = None, columns["token_ids"]
    else:
        columns = {}
        if kind == "static":
            examples, columns = decode_masked(data, begins, ends, where, numbers, num_slots)
        else:
            examples = decode_examples(data, begins, ends, where, numbers)
        lengths, label = examples.lengths, examples.next_sentence_label.astype(np.int32)
        token_ids = examples.token_ids
    for ids in (token_ids, columns.get("mask_ids")):
        if num_pieces is not None and ids is not None and ids.max(initial=0) >= num_pieces:
            raise DataError(
                f"There is an id {ids.max()}",
                where=where,
                expected=f"ids below {num_pieces:,}, as the vocabulary has so many pieces",
            )
    return Part(indices, lengths.astype(np.int64), label, examples, columns)


def joined(parts: list[Part]) -> Part:
    """Several parts of one corpus as one."""
    if len(parts) == 1:
        return parts[0]
    columns = {}
    for name in parts[0].columns:
        arrays = [part.columns[name] for part in parts]
        width = max(array.shape[1] for array in arrays)
        columns[name] = np.concatenate([fitted(array, width) for array in arrays])
    has_examples = parts[0].examples is not None
    return Part(
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.label for part in parts]),
        concatenated([part.examples for part in parts]) if has_examples else None,
        columns,
    )


def fitted(rows: np.ndarray, width: int, fill=0) -> np.ndarray:
    """Rows (N, ...) cut or filled to (N, width)."""
    if rows.shape[1] >= width:
        return rows[:, :width]
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=fill)

"""Rows of pieces as the sequences a BERT reads, as operations: `sequence.py`, in the graph."""

import tensorflow as tf

from keras_bert.errors import UsageError
from keras_bert.text.in_graph_offsets import spread
from keras_bert.text.sequence import room_for_pieces, truncated_lengths, window_room


def texts_tensor(texts) -> tf.Tensor:
    """A string tensor [B] of what should be one."""
    texts = tf.convert_to_tensor(texts, tf.string)
    if texts.shape.rank not in (1, None):
        raise UsageError(
            f"texts have the shape {texts.shape}", where="texts", expected="[B], one string a text"
        )
    return texts


class Frames:
    """Where pieces and special tokens stand in sequences: `[CLS] A [SEP] (B [SEP])`.

    Worked out once for everything that is laid out so: ids, segments, offsets. A concatenation of ragged
    tensors does the same for each of them anew, in four times as many operations.

    Args:
        parts: one or two ragged tensors [B, (P)]. The pieces of the texts.
    """

    def __init__(self, parts):
        self._sizes = [tf.shape(part.values) for part in parts]
        splits = [tf.cast(part.row_splits, tf.int32) for part in parts]
        self._batch = tf.size(splits[0]) - 1
        row_splits = tf.add_n(splits) + (len(parts) + 1) * tf.range(self._batch + 1)
        self._row_splits = tf.cast(row_splits, tf.int64)
        place = row_splits[:-1]  # of the next token of every row
        self._places = [place]
        for part, size, own in zip(parts, self._sizes, splits, strict=True):
            place += 1
            self._places.append(tf.range(size[0]) + spread(place - own[:-1], part.row_splits))
            place += own[1:] - own[:-1]
            self._places.append(place)

    def __call__(self, values, first: int, lasts: tuple[int, ...]) -> tf.RaggedTensor:
        """`first`, then the values of every part with its `last` behind them, row by row.

        Args:
            values: of every part an int32 tensor [pieces], or an int that stands for every piece.
            first: int.
            lasts: of every part an int. What is given for a second part is not used where there is none.

        Returns:
            int32 ragged tensor [B, (T)].
        """
        tokens = [tf.fill([self._batch], first)]
        for part, size, last in zip(values, self._sizes, lasts, strict=False):
            tokens += [tf.fill(size, part) if isinstance(part, int) else part, tf.fill([self._batch], last)]
        joined = tf.dynamic_stitch(self._places, tokens)
        return tf.RaggedTensor.from_row_splits(joined, self._row_splits, validate=False)


def padded(token_ids, segment_ids, pad_id: int) -> dict[str, tf.Tensor]:
    """Sequences as the encoder reads them, as long as the longest."""
    return {
        "token_ids": token_ids.to_tensor(pad_id),
        "segment_ids": segment_ids.to_tensor(0),
        "padding_mask": tf.ones_like(token_ids).to_tensor(0),
    }


def parted(pieces, num_rows) -> list[tuple[tf.RaggedTensor, ...]]:
    """Ragged tensors with the same rows, parted into those of the first rows and those of the rest."""
    splits = pieces[0].row_splits
    behind = splits[num_rows]
    halves = (slice(None, behind), splits[: num_rows + 1]), (slice(behind, None), splits[num_rows:] - behind)
    return [
        tuple(tf.RaggedTensor.from_row_splits(p.values[half], rows, validate=False) for p in pieces)
        for half, rows in halves
    ]


def truncated(parts, max_length: int | None, truncation: str = "longest_first") -> list[tf.RaggedTensor]:
    """One or two texts' pieces, cut so that their sequence fits, row by row; None cuts nothing."""
    if max_length is None:
        return parts
    room = room_for_pieces(max_length, is_pair=len(parts) == 2)
    lengths = [ids.row_lengths() for ids in parts]
    if len(parts) == 1:
        kept = [tf.minimum(lengths[0], room)]
    else:
        kept = truncated_lengths(*lengths, room, truncation, tf.minimum, tf.maximum)
    return [_slices(ids, ids.row_starts(), length) for ids, length in zip(parts, kept, strict=True)]


def windows_of(parts, max_length: int, stride: int, cls_id: int, sep_id: int) -> dict:
    """See `InGraphTokenizer.windows`; `parts` are (ids, starts, ends) of the text, or of both of a pair."""
    *repeated, long = parts
    room = room_for_pieces(max_length, is_pair=len(parts) == 2)
    lengths = long[0].row_lengths()
    repeated_lengths = repeated[0][0].row_lengths() if repeated else tf.zeros_like(lengths)
    repeated_kept, room = window_room(repeated_lengths, room, tf.minimum)  # (B,)
    step = tf.minimum(room, stride)
    counts = 1 + (tf.maximum(lengths - room, 0) + step - 1) // step  # (B,) windows of each text
    row_splits = tf.concat([[0], tf.cumsum(counts)], axis=0)
    row = spread(tf.range(tf.size(lengths)), row_splits)  # (W,)
    first_pieces = tf.ragged.range(counts).values * tf.gather(step, row)
    sizes = tf.minimum(tf.gather(room, row), tf.gather(lengths, row) - first_pieces)
    stretches = [(long, tf.gather(long[0].row_starts(), row) + first_pieces, sizes)]
    if repeated:
        starts = tf.gather(repeated[0][0].row_starts(), row)
        stretches.insert(0, (repeated[0], starts, tf.gather(repeated_kept, row)))
    places = [tf.ragged.range(starts, starts + sizes) for _, starts, sizes in stretches]
    ids, starts, ends = (
        [tf.gather(part[which].values, at.values) for (part, *_), at in zip(stretches, places, strict=True)]
        for which in range(3)
    )
    frames = Frames(places)
    return {
        "token_ids": frames(ids, cls_id, (sep_id, sep_id)),
        "segment_ids": frames((0, 1), 0, (0, 1)),
        "sequence_ids": frames((0, 1), -1, (-1, -1)),
        "starts": frames(starts, 0, (0, 0)),
        "ends": frames(ends, 0, (0, 0)),
        "row": row,
    }


def _slices(ragged, starts, lengths) -> tf.RaggedTensor:
    """The stretches of the flat values that begin at `starts`, as rows."""
    places = tf.ragged.range(starts, starts + lengths)
    return tf.gather(ragged.values, places)

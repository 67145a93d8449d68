"""Pretraining examples as columns: what the pairs make, the records keep and the masks are laid over."""

import dataclasses

import numpy as np

NO_PAIR = -1


@dataclasses.dataclass(frozen=True)
class Examples:
    """N unpadded examples, `[CLS] A [SEP] B [SEP]` or `[CLS] A [SEP]` each, end to end.

    Args:
        token_ids: int32 array (sum of the lengths,).
        starts: int64 array (N + 1,). Example i is `token_ids[starts[i]:starts[i + 1]]`.
        b_starts: int32 array (N,). Where in the example segment B begins; its length where there is no B.
        next_sentence_label: int8 array (N,). 0: B really follows A, 1: it is a random other text,
            `NO_PAIR` where there is no B.
        continues: bool array like `token_ids`, or None. Whether a piece goes on with the word of the piece
            before it; None: the vocabulary says it, by ##.
    """

    token_ids: np.ndarray
    starts: np.ndarray
    b_starts: np.ndarray
    next_sentence_label: np.ndarray
    continues: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.b_starts)

    @property
    def lengths(self) -> np.ndarray:
        """int64 array (N,)."""
        return np.diff(self.starts)

    def take(self, order) -> "Examples":
        """Some of the examples, in the order given.

        Args:
            order: int array (K,).
        """
        order = np.asarray(order, np.int64)
        lengths = self.lengths[order]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.starts[:-1][order] - starts[:-1], lengths) + np.arange(starts[-1])
        return Examples(
            self.token_ids[places],
            starts,
            self.b_starts[order],
            self.next_sentence_label[order],
            None if self.continues is None else self.continues[places],
        )

    def padded(self, length: int, pad_id: int = 0) -> dict[str, np.ndarray]:
        """The examples as rows: {token_ids, segment_ids, padding_mask: int32 (N, length)}.

        `continues` is among them, bool (N, length), where the examples have it.
        """
        lengths = self.lengths
        place = np.arange(length)
        is_real = place < lengths[:, None]  # (N, T)
        token_ids = np.full((len(self), length), pad_id, np.int32)
        token_ids[is_real] = self.token_ids
        is_b = (place >= self.b_starts[:, None]) & is_real
        rows = {
            "token_ids": token_ids,
            "segment_ids": is_b.astype(np.int32),
            "padding_mask": is_real.astype(np.int32),
        }
        if self.continues is not None:
            rows["continues"] = np.zeros((len(self), length), bool)
            rows["continues"][is_real] = self.continues
        return rows


def concatenated(parts: list[Examples]) -> Examples:
    """Several sets of examples as one; all of them have `continues`, or none has."""
    if not parts:
        return Examples(
            np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int8)
        )
    lengths = np.concatenate([part.lengths for part in parts])
    return Examples(
        np.concatenate([part.token_ids for part in parts]),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([part.b_starts for part in parts]),
        np.concatenate([part.next_sentence_label for part in parts]),
        None if parts[0].continues is None else np.concatenate([part.continues for part in parts]),
    )

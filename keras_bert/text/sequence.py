"""From pieces to the sequence a BERT reads: `[CLS] A [SEP] (B [SEP])`, truncation and windows.

The arithmetic of truncation is written once, for Python integers and for tensors alike: the caller hands
in `minimum` and `maximum`.
"""

import dataclasses

from keras_bert.errors import UsageError

TRUNCATIONS = ("longest_first", "only_second")
SPECIAL_OFFSET = (0, 0)


@dataclasses.dataclass
class Encoding:
    """One text, or one pair, as a BERT reads it.

    Args:
        token_ids: list of int. Ids of the pieces.
        segment_ids: list of int. 0 for `[CLS] A [SEP]`, 1 for `B [SEP]`.
        offsets: list of (start, end). Where each piece comes from, in code points of its own text, end
            exclusive; (0, 0) for special tokens that were added.
        sequence_ids: list of int or None. Which text each piece comes from: 0 for the first, 1 for the
            pair, None for special tokens that were added.
        texts: tuple of str. The text, and the pair where there is one; undecodable bytes are U+FFFD.
        num_replaced: int. How many U+FFFD stand for undecodable bytes.
    """

    token_ids: list[int]
    segment_ids: list[int]
    offsets: list[tuple[int, int]]
    sequence_ids: list[int | None]
    texts: tuple[str, ...] = dataclasses.field(repr=False, default=())
    num_replaced: int = 0

    def __len__(self) -> int:
        return len(self.token_ids)

    def utf16_offsets(self) -> list[tuple[int, int]]:
        """`offsets` in UTF-16 code units, as JavaScript, Java and C# count."""
        tables = [_utf16_positions(text) for text in self.texts]
        return [
            SPECIAL_OFFSET if which is None else (tables[which][start], tables[which][end])
            for (start, end), which in zip(self.offsets, self.sequence_ids, strict=True)
        ]


def _utf16_positions(text: str) -> list[int] | range:
    if not text or max(text) <= "\uffff":
        return range(len(text) + 1)
    positions = [0]
    for char in text:
        positions.append(positions[-1] + (2 if char > "\uffff" else 1))
    return positions


def join(
    parts, special_ids: tuple[int, int] | None, texts: tuple[str, ...] = (), num_replaced: int = 0
) -> Encoding:
    """Pieces of one or two texts as one sequence.

    Args:
        parts: list of (ids, spans), one for each text, already truncated.
        special_ids: (id of [CLS], id of [SEP]) to frame them with, or None for bare pieces.
        texts: tuple of str. For the `Encoding`.
        num_replaced: int. For the `Encoding`.

    Returns:
        An `Encoding`.
    """
    encoding = Encoding([], [], [], [], texts, num_replaced)
    if special_ids:
        _append_special(encoding, special_ids[0], 0)
    for which, (ids, spans) in enumerate(parts):
        encoding.token_ids += ids
        encoding.offsets += spans
        encoding.segment_ids += [which] * len(ids)
        encoding.sequence_ids += [which] * len(ids)
        if special_ids:
            _append_special(encoding, special_ids[1], which)
    return encoding


def _append_special(encoding: Encoding, index: int, segment: int):
    encoding.token_ids.append(index)
    encoding.segment_ids.append(segment)
    encoding.offsets.append(SPECIAL_OFFSET)
    encoding.sequence_ids.append(None)


def num_special_tokens(is_pair: bool) -> int:
    """How many special tokens the sequence takes: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]."""
    return 3 if is_pair else 2


def room_for_pieces(max_length: int, is_pair: bool, special_tokens: bool = True) -> int:
    """How many pieces of text fit, beside the special tokens where there are any.

    Raises:
        UsageError: `max_length` has no room for the special tokens.
    """
    least = num_special_tokens(is_pair) if special_tokens else 0
    if max_length < least:
        raise UsageError(
            f"max_length={max_length} has no room for the special tokens",
            where="max_length",
            expected=f"at least {least}",
        )
    return max_length - least


def truncated_lengths(length_a, length_b, room, truncation="longest_first", minimum=min, maximum=max):
    """How many pieces of each text of a pair stay, cut from the right.

    `longest_first` takes one piece at a time from the longer text, from the second where they are equal
    (Google's `_truncate_seq_pair`); `only_second` keeps the first text whole as long as it fits at all.

    Args:
        length_a: int or int tensor. Pieces of the first text.
        length_b: int or int tensor. Pieces of the second text.
        room: int. Pieces that fit.
        truncation: str. `"longest_first"` or `"only_second"`.
        minimum: callable. `min`, or its form for tensors.
        maximum: callable. `max`, or its form for tensors.

    Returns:
        (length_a, length_b) after truncation.

    Raises:
        UsageError: an unknown `truncation`.
    """
    if truncation not in TRUNCATIONS:
        raise UsageError(
            f"truncation={truncation!r} is not known",
            where="truncation",
            expected=" or ".join(map(repr, TRUNCATIONS)),
        )
    share = room // 2 if truncation == "longest_first" else 0
    kept_b = minimum(length_b, maximum(room - length_a, share))
    return minimum(length_a, room - kept_b), kept_b


def check_stride(stride: int, max_length: int | None, is_pair: bool):
    """Refuses windows that hold nothing or never move on.

    Raises:
        UsageError: names the argument.
    """
    if max_length is None or room_for_pieces(max_length, is_pair) < 1:
        raise UsageError(
            f"max_length={max_length} has no room for text",
            where="max_length",
            expected=f"at least {num_special_tokens(is_pair) + 1}",
        )
    if stride < 1:
        raise UsageError(f"stride={stride} never reaches the end", where="stride", expected="at least 1")


def window_room(length_repeated, room, minimum=min):
    """How a window is shared: the repeated text is cut to half of the room, the long text has the rest.

    Args:
        length_repeated: int or int tensor. Pieces of the text that every window repeats; 0 without one.
        room: int. Pieces that fit beside the special tokens.
        minimum: callable. `min`, or its form for tensors.

    Returns:
        (pieces kept of the repeated text, pieces of the long text in a window).
    """
    kept = minimum(length_repeated, room // 2)
    return kept, room - kept


def window_starts(length: int, room: int, stride: int) -> list[int]:
    """Where the windows over a long text start: every `stride` pieces, until one reaches the end.

    Args:
        length: int. Pieces of the long text.
        room: int. Pieces of it that a window holds.
        stride: int. Pieces from one window's start to the next one's; `room` where it is more than that.
    """
    stride = min(stride, room)
    return [0, *range(stride, length - room + stride, stride)] if length > room else [0]

"""What the tokeniser knows about Unicode: one baked table, the same on every Python, TensorFlow and phone.

Checkpoints were trained on ids that depend on Unicode's categories, case and decompositions. Python's own
`unicodedata` changes with every release, TensorFlow's ICU with every build, so neither is asked: the
table beside this file holds Unicode 14 (tests/text/bake_unicode_table.py makes it).
"""

import dataclasses
import functools
from importlib import resources

import numpy as np

NUM_CODE_POINTS = 0x110000

# What `UnicodeTable.flags` says of a code point.
REMOVED = 1  # NUL, U+FFFD, controls, format characters, surrogates: dropped before anything else
SPACE = 2  # ends a word
CHINESE = 4  # an ideograph: a word of its own, if the tokeniser splits Chinese
PUNCTUATION = 8  # a word of its own
MARK = 16  # a non-spacing mark (Mn): dropped where accents are stripped
CASED = 32  # before a capital sigma: that sigma may end a word
IGNORABLE = 64  # looked through when the neighbours of a capital sigma are sought
SETTLED = 128  # a letter, a blank or punctuation in every release of Unicode alike


@dataclasses.dataclass(frozen=True)
class UnicodeTable:
    """Unicode 14, as far as Google's tokeniser asks.

    Args:
        flags: uint8 array [NUM_CODE_POINTS]. Bits of the constants above.
        combining: dict. Code point to canonical combining class, where that is not 0.
        lower: dict. Code point to its lower case (a tuple), where that differs; context-free.
        decomposition: dict. Code point to its full canonical decomposition (NFD), where that differs.
    """

    flags: np.ndarray
    combining: dict[int, int]
    lower: dict[int, tuple[int, ...]]
    decomposition: dict[int, tuple[int, ...]]

    def members(self, flag: int) -> np.ndarray:
        """The code points that carry `flag`, ascending."""
        return np.flatnonzero(self.flags & flag)

    def character_class(self, flag: int) -> str:
        """The code points that carry `flag`, written as the inside of a regular expression's [...]."""
        points = self.members(flag)
        breaks = np.flatnonzero(np.diff(points) != 1)
        firsts = points[np.concatenate([[0], breaks + 1])]
        lasts = points[np.concatenate([breaks, [len(points) - 1]])]
        return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in zip(firsts, lasts, strict=True))


@functools.cache
def unicode_table() -> UnicodeTable:
    """The baked table, read once per process."""
    with resources.files(__package__).joinpath("unicode_14.npz").open("rb") as file:
        arrays = dict(np.load(file, allow_pickle=False))
    run_lengths = np.diff(arrays["flag_run_starts"], append=NUM_CODE_POINTS)
    return UnicodeTable(
        flags=np.repeat(arrays["flag_run_values"], run_lengths),
        combining=dict(
            zip(arrays["combining_keys"].tolist(), arrays["combining_values"].tolist(), strict=True)
        ),
        lower=_mapping(arrays, "lower"),
        decomposition=_mapping(arrays, "decomposition"),
    )


def _mapping(arrays: dict[str, np.ndarray], prefix: str) -> dict[int, tuple[int, ...]]:
    values = arrays[f"{prefix}_values"].tolist()
    ends = np.cumsum(arrays[f"{prefix}_lengths"]).tolist()
    starts = [0, *ends[:-1]]
    keys = arrays[f"{prefix}_keys"].tolist()
    return {key: tuple(values[start:end]) for key, start, end in zip(keys, starts, ends, strict=True)}


@functools.cache
def normal_forms(lowercase: bool, strip_accents: bool) -> dict[int, tuple[int, ...]]:
    """Code point to what is left of it, for every code point that does not simply stay itself.

    Lower case comes first, then NFD, then non-spacing marks go, as in Google's `BasicTokenizer`. Removed
    code points map to the empty tuple; spaces stay. Two things depend on the neighbours and are left to
    the caller: the final sigma, and the order of the combining characters that survive.

    Args:
        lowercase: bool. Map to lower case.
        strip_accents: bool. Decompose and drop the marks.

    Returns:
        Dict from code point to a tuple of at most three code points.
    """
    table = unicode_table()
    forms = {int(point): () for point in table.members(REMOVED)}
    candidates = set(table.lower) if lowercase else set()
    if strip_accents:
        candidates |= set(table.decomposition) | set(table.members(MARK).tolist())
    for point in candidates:
        form = table.lower.get(point, (point,)) if lowercase else (point,)
        if strip_accents:
            form = [part for whole in form for part in table.decomposition.get(whole, (whole,))]
            form = [part for part in form if not table.flags[part] & MARK]
        form = tuple(form)
        if form != (point,):
            forms[point] = form
    return forms

"""The Unicode table in the form the graph looks things up in. NumPy only.

One int32 says everything about a character of the normalised text: its code point, as it is spelt for
tensorflow-text (`spelling.py`), and the bits below.
"""

from typing import NamedTuple

import numpy as np

from keras_bert.text import unicode_table as unicode

PAGE_BITS = 8
PAGE_SIZE = 1 << PAGE_BITS
POINT = (1 << 21) - 1  # the code point itself
ALONE = 1 << 21  # a word of its own: punctuation, or an ideograph
BLANK = 1 << 22  # ends a word, belongs to none
MOVABLE = 1 << 23  # a combining character that survives stripping: canonical ordering may move it
LONGER = 1 << 24  # the first of several characters that one code point becomes
NOTHING = -(1 << 30)  # fills the slots a code point does not use; stays negative when a code point is added
STRIPPED = -(
    1 << 29
)  # the same for a mark that is dropped: it belongs to the span of the character before it

# Bits of the context table, looked up for the raw code points.
CASED = 1  # before a capital sigma: that sigma may end a word
TRANSPARENT = 2  # looked through when the neighbours of a capital sigma are sought
STARTS_RUN = 4  # a stripped mark that combining characters cannot be moved across
COMBINING_SHIFT = 3  # the canonical combining class is above these bits


class PagedTable(NamedTuple):
    """A value (or a row of values) for every code point; pages that are alike are stored once.

    Args:
        pages: int32 array [NUM_CODE_POINTS / 256]. Which block a page is.
        blocks: int32 array [blocks * 256, ...]. The values.
    """

    pages: np.ndarray
    blocks: np.ndarray

    def look_up(self, points: np.ndarray) -> np.ndarray:
        """The values of some code points."""
        return self.blocks[self.pages[points >> PAGE_BITS] * PAGE_SIZE + (points & (PAGE_SIZE - 1))]


def paged(values: np.ndarray) -> PagedTable:
    """`values` [NUM_CODE_POINTS, ...] as a `PagedTable`."""
    block_of: dict[bytes, int] = {}
    blocks, pages = [], []
    for block in values.astype(np.int32).reshape(-1, PAGE_SIZE, *values.shape[1:]):
        content = block.tobytes()
        if content not in block_of:
            block_of[content] = len(blocks)
            blocks.append(block)
        pages.append(block_of[content])
    return PagedTable(np.array(pages, np.int32), np.concatenate(blocks))


def forms_table(
    lowercase: bool,
    strip_accents: bool,
    split_chinese: bool,
    split_punctuation: bool = True,
    letters: np.ndarray | None = None,
) -> PagedTable:
    """What is added to every code point to get the characters it becomes; rows of one to three.

    Differences, because most code points stay themselves: their pages are then all the same zeros. The sum
    is negative in the slots a code point does not use.

    Args:
        lowercase: bool. Map to lower case.
        strip_accents: bool. Decompose and drop the marks.
        split_chinese: bool. Mark ideographs as words of their own.
        split_punctuation: bool. The same for punctuation.
        letters: int32 array [NUM_CODE_POINTS]. What a character is written as; None: as itself.
    """
    table = unicode.unicode_table()
    letters = np.arange(unicode.NUM_CODE_POINTS) if letters is None else letters
    forms = unicode.normal_forms(lowercase, strip_accents)
    width = max(1, *map(len, forms.values()))
    points = np.full((unicode.NUM_CODE_POINTS, width), -1, np.int32)
    points[:, 0] = np.arange(unicode.NUM_CODE_POINTS)
    for point, form in forms.items():
        points[point, : len(form)] = form
        points[point, len(form) :] = -1
    bits = np.zeros(unicode.NUM_CODE_POINTS, np.int32)
    if split_punctuation:
        bits[table.members(unicode.PUNCTUATION)] |= ALONE
    if strip_accents:
        survivors = [point for point in table.combining if not table.flags[point] & unicode.MARK]
        bits[survivors] |= MOVABLE
    entries = letters[points] | bits[points]
    if split_chinese:
        entries[table.members(unicode.CHINESE), 0] |= ALONE
    entries[table.members(unicode.SPACE), 0] = ord(" ") | BLANK
    if width > 1:
        entries[points[:, 1] >= 0, 0] |= LONGER
    added = np.where(points >= 0, entries - np.arange(unicode.NUM_CODE_POINTS)[:, None], NOTHING)
    if strip_accents:
        marks = table.members(unicode.MARK)
        added[marks[points[marks, 0] < 0]] = STRIPPED
    return paged(added)


def context_table(strip_accents: bool) -> PagedTable:
    """What the neighbours of a code point need to know of it: the bits above."""
    table = unicode.unicode_table()
    values = np.zeros(unicode.NUM_CODE_POINTS, np.int32)
    values[table.members(unicode.CASED)] |= CASED
    values[table.members(unicode.IGNORABLE | unicode.REMOVED)] |= TRANSPARENT
    if strip_accents:
        for mark in table.members(unicode.MARK).tolist():
            if any(part not in table.combining for part in table.decomposition.get(mark, (mark,))):
                values[mark] |= STARTS_RUN
        for point, order in table.combining.items():
            values[point] |= order << COMBINING_SHIFT
    return paged(values)

"""`Vocabulary`: the pieces of a vocab.txt, in order; refuses a file that is ambiguous."""

import os
from collections.abc import Iterable, Iterator, Sequence

from keras_bert.errors import UsageError, VocabularyError
from keras_bert.files.regular import read_regular

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
_BLANK = " \t\r\n"  # Chinese BERT has U+2028 as a piece: only ASCII blanks make a line blank
_REQUIRED = (PAD, UNK, CLS, SEP)
_BEFORE_STRIPPED, _STRIPPED = "\u2027", "\u2028"


class Vocabulary:
    """The pieces a BERT knows; the id of a piece is its place in the file.

    Args:
        pieces: sequence of str. The pieces in order, continuations written with a leading `##`.
        source: str. What to call the place the pieces come from in error messages.

    Raises:
        VocabularyError: a blank or duplicate piece, or a special token that is missing ([PAD], [UNK],
            [CLS] and [SEP] must be there, [MASK] may be absent).
    """

    def __init__(self, pieces: Sequence[str], source: str = "vocabulary"):
        self.pieces = tuple(pieces)
        self._ids: dict[str, int] = {}
        for index, piece in enumerate(self.pieces):
            self._add(index, piece, where=f"{source}:{index + 1}")
        for special in _REQUIRED:
            if special not in self._ids:
                raise VocabularyError(
                    f"the special token {special} is missing",
                    where=source,
                    expected=f"{', '.join(_REQUIRED)}, each on a line of its own",
                    remedy="use the vocabulary file that belongs to the checkpoint",
                )
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (self._ids[special] for special in _REQUIRED)
        self.mask_id = self._ids.get(MASK)

    def _add(self, index: int, piece: str, where: str):
        if not isinstance(piece, str):
            raise VocabularyError(f"a piece is a {type(piece).__name__}", where=where, expected="str")
        if not piece.strip(_BLANK):
            raise VocabularyError(
                "blank line",
                where=where,
                expected="one piece a line",
                remedy="restore the original file: deleting the line would shift the id of every later piece",
            )
        if piece in self._ids:
            raise VocabularyError(
                f"{piece!r} is already on line {self._ids[piece] + 1}",
                where=where,
                expected="every piece once",
                remedy="restore the original file: which of the two ids is meant cannot be told",
            )
        self._ids[piece] = index

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "Vocabulary":
        """Reads a vocab.txt: UTF-8, one piece a line; a byte order mark and CRLF line ends are tolerated.

        So is the one blank line that bert4keras' writer made of Chinese BERT's piece U+2028.

        Args:
            path: str or path. The file.

        Returns:
            The `Vocabulary`.

        Raises:
            VocabularyError: the file is missing, not UTF-8, or its pieces are ambiguous; names the line.
        """
        try:
            data = read_regular(path)
        except OSError as error:
            raise VocabularyError(
                f"cannot be read ({error.strerror})",
                where=str(path),
                expected="a vocab.txt, one piece a line",
            ) from error
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise VocabularyError(
                "not UTF-8", where=f"{path}:{line}", expected="UTF-8", remedy="convert the file to UTF-8"
            ) from error
        # Not str.splitlines, which would also break at U+2028, a piece of Chinese BERT.
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        return cls(_restored([line.removesuffix("\r") for line in lines]), source=str(path))

    def save(self, path: str | os.PathLike):
        """Writes the pieces, one a line, UTF-8, line ends `\\n`."""
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{piece}\n" for piece in self.pieces)

    def id(self, piece: str) -> int:
        """The id of `piece`, or that of [UNK] where the vocabulary does not have it."""
        return self._ids.get(piece, self.unk_id)

    @property
    def ids(self) -> dict[str, int]:
        """Piece to id, for loops that cannot afford a call per piece; not to be changed."""
        return self._ids

    @property
    def special_ids(self) -> dict[str, int]:
        """Id of every special token that is there."""
        return {piece: self._ids[piece] for piece in (*_REQUIRED, MASK) if piece in self._ids}

    def check_special(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names, if every one is a special token of this vocabulary.

        Raises:
            UsageError: names the one that is not.
        """
        names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
        for name in names:
            if name not in self.special_ids:
                raise UsageError(
                    f"{name!r} is not a special token of this vocabulary",
                    where="allow_special",
                    expected=f"some of {', '.join(self.special_ids)}",
                )
        return names

    def __len__(self) -> int:
        return len(self.pieces)

    def __contains__(self, piece: str) -> bool:
        return piece in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces)

    def __eq__(self, other) -> bool:
        return isinstance(other, Vocabulary) and self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} pieces)"


def _restored(lines: list[str]) -> list[str]:
    """The lines with U+2028 put back, where a program that strips lines has written them.

    Chinese BERT has that piece behind U+2027. Nothing else can have stood on the only blank line behind it.
    """
    if lines.count("") == 1 and _STRIPPED not in lines:
        place = lines.index("")
        if 0 < place < len(lines) - 1 and lines[place - 1] == _BEFORE_STRIPPED:
            return [*lines[:place], _STRIPPED, *lines[place + 1 :]]
    return lines

"""The zip archives that PyTorch writes since 1.6, walked in place: every member stored, none ever unpacked.

The standard library's zipfile is made for any archive: it takes gaps, junk at either end and names that
differ between directory and member, and its memory is a multiple of a hostile directory's. torch writes one
strict form, and no other is read here:

    (header, bytes, perhaps a descriptor) for each member, the directory, its zip64 end, its end
"""

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import numpy as np

from keras_bert.checkpoints.json_text import quoted
from keras_bert.errors import CheckpointError

# A member takes about 70 bytes of it, and BERT-large with its optimizer's state has 1,200. Parsed, it takes
# some ten times its bytes.
MAX_DIRECTORY_BYTES = 2**20

_MEMBER = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64, _LOCATOR_64 = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_DESCRIPTOR = b"PK\x07\x08"
_DESCRIPTOR_LENGTHS = (16, 24)  # with sizes of 32 or 64 bits
_ENCRYPTED = 0x2041  # flags
_LARGE = 0xFFFFFFFF  # the number stands in the zip64 extra field


class _Entry(NamedTuple):
    """A member as the directory describes it; `at` is where its header begins."""

    name: str
    at: int
    size: int
    packed: int
    method: int
    flags: int


def stored_members(data: np.ndarray, where: str) -> dict[str, tuple[int, int]]:
    """Where the bytes of each member of torch's archive lie.

    Args:
        data: uint8 array. The whole file, mapped.
        where: str. The file, for the message.

    Returns:
        dict: member name without the archive's one folder (`"data.pkl"`, `"data/0"`) to (first byte, byte
            after the last).

    Raises:
        CheckpointError: an archive of something else, not in the strict form above, or with a member that
            is compressed, encrypted, twice there, or named like a path out of its folder.
    """
    return _Archive(data, where).members()


class _Archive:
    def __init__(self, data: np.ndarray, where: str):
        self.data, self.where = data, where

    def refuse(self, what: str, expected: str = "", remedy: str = "") -> NoReturn:
        raise CheckpointError(
            what,
            where=self.where,
            expected=expected or "a zip archive as torch.save writes it",
            remedy=remedy or "the file is cut or damaged: copy or download it again",
        ) from None

    def members(self) -> dict[str, tuple[int, int]]:
        begin, end, count = self._directory()
        entries = list(self._entries(begin, end))
        if len(entries) != count:
            self.refuse(f"The archive's directory has {len(entries)} entries instead of {count}")
        folder = self._folder([entry.name for entry in entries])
        places, position = {}, 0
        for entry in sorted(entries, key=lambda entry: entry.at):
            self._check(entry, folder)
            self._refuse_gap(position, entry.at)
            position = self._end_of(entry)
            places[entry.name.removeprefix(folder)] = (position - entry.size, position)
        self._refuse_gap(position, begin)
        if len(places) != count:
            self.refuse("The archive has two members of the same name")
        return places

    def _unpack(self, form: struct.Struct, position: int, signature: bytes) -> tuple:
        """The fields of a record after its signature."""
        found = self.data[position : position + form.size].tobytes() if position >= 0 else b""
        if len(found) < form.size or not found.startswith(signature):
            self.refuse(f"No record {signature[2:].hex()} of a zip archive at byte {position}")
        return form.unpack(found)[1:]

    def _text(self, position: int, length: int) -> str:
        try:
            return self.data[position : position + length].tobytes().decode("utf-8")
        except UnicodeDecodeError:
            self.refuse("A member of the archive has a name that is not UTF-8")

    def _directory(self) -> tuple[int, int, int]:
        """Where the directory begins and ends, and how many members it is said to have."""
        end = len(self.data) - _END.size
        disk, first_disk, here, count, size, begin, comment = self._unpack(_END, end, b"PK\x05\x06")
        if disk or first_disk or comment or here != count:
            self.refuse("The archive is one of several parts, or has a comment")
        locator = end - _LOCATOR_64.size
        if locator >= 0 and self.data[locator : locator + 4].tobytes() == b"PK\x06\x07":
            _, end, _ = self._unpack(_LOCATOR_64, locator, b"PK\x06\x07")
            if end != locator - _END_64.size:
                self.refuse(f"The archive's zip64 end is said to be at byte {end}")
            *_, here, count, size, begin = self._unpack(_END_64, end, b"PK\x06\x06")
        if begin + size != end or here != count:
            self.refuse(f"The archive's directory is said to have {size} bytes from byte {begin}")
        if size > MAX_DIRECTORY_BYTES:
            self.refuse(f"The archive's directory has {size} bytes", f"at most {MAX_DIRECTORY_BYTES} bytes")
        return begin, end, count

    def _entries(self, position: int, end: int) -> Iterator[_Entry]:
        while position < end:
            fields = self._unpack(_ENTRY, position, b"PK\x01\x02")
            _, _, flags, method, _, _, _, packed, size, name_length, more_length, comment_length, *_, at = (
                fields
            )
            position += _ENTRY.size
            name = self._text(position, name_length)
            position += name_length
            large = _large_numbers(self.data[position : position + more_length].tobytes())
            size, packed, at = (next(large, math.inf) if n == _LARGE else n for n in (size, packed, at))
            position += more_length + comment_length
            yield _Entry(name, at, size, packed, method, flags)
        if position != end:
            self.refuse("The archive's directory does not end where it should")

    def _folder(self, names: list[str]) -> str:
        """The one folder that torch puts everything in, with its slash."""
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            self.refuse(
                f"It is a zip archive of something else, with {quoted(names[:3])}",
                "the archive of torch.save, with one data.pkl",
                "give the model's weight file",
            )
        folder = pickles[0].removesuffix("data.pkl")
        if any(name.startswith((f"{folder}code/", f"{folder}constants.pkl")) for name in names):
            remedy = "save the state_dict() of the model that it was made from"
            self.refuse("It is a TorchScript program, not weights", remedy=remedy)
        return folder

    def _check(self, entry: _Entry, folder: str):
        name = quoted(entry.name)
        if entry.method or entry.flags & _ENCRYPTED:
            self.refuse(
                f"The member {name} is {'encrypted' if entry.flags & _ENCRYPTED else 'compressed'}",
                "members stored as they are, as torch.save writes them",
                "save the weights anew",
            )
        if entry.size != entry.packed or entry.at + entry.size > len(self.data):
            self.refuse(f"The member {name} is said to have {entry.size} bytes from byte {entry.at}")
        odd = any(part in ("", ".", "..") for part in entry.name.split("/")) or set(entry.name) & set("\\\0:")
        if odd or not entry.name.startswith(folder):
            self.refuse(f"A member has the name {name}", f"a plain path in the folder {quoted(folder)}")

    def _end_of(self, entry: _Entry) -> int:
        """The byte after the member's last."""
        _, flags, method, *_, name_length, more_length = self._unpack(_MEMBER, entry.at, b"PK\x03\x04")
        name_at = entry.at + _MEMBER.size
        name = self._text(name_at, name_length)
        if (name, flags, method) != (entry.name, entry.flags, entry.method):
            self.refuse(f"The member {quoted(entry.name)} differs from its entry in the directory")
        return name_at + name_length + more_length + entry.size

    def _refuse_gap(self, end: int, begin: int):
        """Between the end of one member and the beginning of the next may lie nothing but a descriptor."""
        gap = begin - end
        start = self.data[end : end + len(_DESCRIPTOR)].tobytes()
        if gap and not (end and gap in _DESCRIPTOR_LENGTHS and start == _DESCRIPTOR):
            kind = (
                "overlaps what is before it" if gap < 0 else f"comes after {gap} bytes that are no member's"
            )
            self.refuse(f"The archive's part at byte {begin} {kind}")


def _large_numbers(extra: bytes) -> Iterator[int]:
    """The 64-bit numbers of an entry's zip64 extra field, one after the other."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == 1:
            field = extra[position : position + length]
            yield from (number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8]))
        position += length

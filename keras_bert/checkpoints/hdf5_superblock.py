"""The first bytes of an HDF5 file: what it is, whether it is whole, and where its root group lies."""

import struct
from typing import NoReturn

from keras_bert.errors import CheckpointError

DOWNLOAD_AGAIN = "the file is cut or damaged: copy or download it again"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1

# (where, what stands there): what the file is instead, what to do about it.
_OTHER_KINDS = {
    (0, b"version https://git-lfs"): ("a Git LFS pointer, not weights", "run `git lfs pull` in its folder"),
    (0, b"PK\3\4"): ("a zip archive", "a .keras file or PyTorch's .bin under another name: give it its own"),
    (0, b"\x1f\x8b"): ("a gzip file", "unpack it"),
    (257, b"ustar"): ("a tar archive", "unpack it"),
    (8, b'{"'): ("a safetensors file", "rename it to model.safetensors"),
    (0, b"\x80"): ("a pickle", "rename it, if it is PyTorch's, to pytorch_model.bin"),
    (0, b"<"): ("a web page or XML, not weights", "download the file itself, not the page about it"),
    (0, b"{"): ("JSON, not weights", "download the file itself"),
}


def root_address(head: bytes, size: int, where: str) -> int:
    """The address of the root group.

    Refused is what is no HDF5 file, is cut, or has parts that Keras' files never have: a user
    block before the file, a base address, drivers that spread a file over several.

    Args:
        head: bytes. The file's first bytes, 512 if it has as many.
        size: int. The file's size.
        where: str. The file, for messages.

    Returns:
        int.

    Raises:
        CheckpointError: says what the file is, if that can be seen.
    """

    def refuse(
        what: str, expected: str = "an HDF5 file of weights", remedy: str = DOWNLOAD_AGAIN
    ) -> NoReturn:
        raise CheckpointError(what, where=where, expected=expected, remedy=remedy)

    if not head.startswith(SIGNATURE):
        text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        for (at, start), (kind, remedy) in _OTHER_KINDS.items():
            if (head if at else text)[at:].startswith(start):
                refuse(f"It is {kind}", remedy=remedy)
        refuse(f"It does not start as an HDF5 file does, and has {size} bytes")
    head = head.ljust(512, b"\0")
    version = head[8]
    if version in (0, 1):
        offset_size, length_size, at = head[13], head[14], 24 + 4 * version
        base, _, end, driver, _, root = struct.unpack_from("<6Q", head, at)
        flags = 0
    elif version in (2, 3):
        offset_size, length_size, flags = head[9], head[10], head[11]
        base, driver, end, root = struct.unpack_from("<4Q", head, 12)
    else:
        refuse(f"The superblock has the version {version}", "version 0 to 3")
    if flags & 5:  # open for writing, plainly or so that others may read meanwhile
        refuse("It was being written when it was copied, or its writer was killed", "a file that was closed")
    if (offset_size, length_size, base) != (8, 8, 0):
        refuse(
            f"Its addresses have {offset_size} and {length_size} bytes and start at {base}",
            "8, 8 and 0, as Keras",
        )
    if driver != UNDEFINED:
        refuse("It has settings of a file driver or of the file's space", "a file as Keras writes it")
    if end > size:
        refuse(f"It is cut: {size} bytes are there, it had {end}")
    return root

"""Opening only what is a file: for a named pipe in a folder from elsewhere one would wait for ever."""

import errno
import os
import stat


def check_regular(path):
    """Raises an OSError if `path` is a named pipe, a device or a folder, or is not there at all."""
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # half a surrogate pair, or a NUL: no name that a file can have
        raise OSError(errno.EINVAL, "it is no name of a file", repr(path)) from error
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_regular(path, limit: int | None = None) -> bytes:
    """The bytes of a file; an OSError as of `check_regular`, or if it has more than `limit` of them."""
    check_regular(path)
    with open(path, "rb") as file:
        data = file.read() if limit is None else file.read(limit + 1)
    if limit is not None and len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return data

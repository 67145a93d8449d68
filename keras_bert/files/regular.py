"""Opening only what is a file: for a named pipe in a folder from elsewhere one would wait for ever."""

import errno
import os
import stat


def check_regular(path):
    """Raises an OSError if `path` is a named pipe, a device or a folder, or is not there at all."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))

"""One writer at a time: a lock that the system lets go when its process ends, however it ends."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from keras_bert.errors import OutputError
from keras_bert.files.atomic import output_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_TAKEN = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextlib.contextmanager
def folder_lock(path) -> Iterator[None]:
    """Be the only process that writes a folder, for the length of the block.

    The lock is a file beside the folder, `.name.lock`, so that the folder can be replaced as a whole; it is
    deleted at the end. On a file system that has no locks the block runs without one.

    Args:
        path: str or path-like. The folder; it need not exist.

    Raises:
        OutputError: another process holds the lock, which is said at once; or the lock file cannot be made.
    """
    target = Path(os.path.realpath(path))
    lock = target.with_name(f".{target.name}.lock")
    with output_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(lock, path)
    try:
        yield
    finally:
        if fcntl:  # deleted while it is held, so that nobody can hold it by then
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(lock: Path, path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
            if not fcntl or _is_same_file(descriptor, lock):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _TAKEN:
                raise
            raise OutputError(
                "Another process is writing this folder",
                where=str(path),
                remedy="wait until it has finished, or choose another folder",
            ) from error
        os.close(descriptor)  # its last holder deleted the file between our two steps: take the new one


def _lock(descriptor: int) -> None:
    if fcntl is None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _is_same_file(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False

"""What a training step frees is kept for the next one, where glibc would give it back to the system.

A step of BERT takes and frees hundreds of blocks of some ten MB. glibc maps those above 32 MB anew each
time, gives what is free at the end of its heap back, and every page that comes anew is a fault and is
cleared. Where the system has no huge pages by default, that was half of a step's time (BUILD_NOTES,
2026-11-28).
"""

import ctypes
import functools
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h
_SETTINGS = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


@functools.cache
def keep_freed_blocks() -> bool:
    """Has glibc's malloc keep, for the rest of the process, what is freed; returns whether it does.

    The process stays as large as its largest step was, and an eighth to a half larger than it would have
    become. Nothing happens where the user has set how malloc maps and trims (`GLIBC_TUNABLES=`, empty, leaves
    all as it is), and on systems without glibc.
    Reference: mallopt(3).
    """
    if sys.platform != "linux" or any(name in os.environ for name in _SETTINGS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))

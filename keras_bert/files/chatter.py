"""Hiding what C++ libraries print where no setting silences them."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def hidden_chatter() -> Iterator[None]:
    """Within the block, what is written to the file descriptor of standard error is set aside.

    TensorFlow's start-up and its TFLite converter write there past Python and past every setting. If the
    block raises, what was set aside is shown, for it may say why.
    """
    sys.stderr.flush()
    shown = os.dup(2)
    try:
        with tempfile.TemporaryFile() as hidden:
            os.dup2(hidden.fileno(), 2)
            try:
                yield
            except BaseException:
                hidden.seek(0)
                os.write(shown, hidden.read())
                raise
            finally:
                sys.stderr.flush()
                os.dup2(shown, 2)
    finally:
        os.close(shown)

"""What libraries in C++ write to standard error past Python, where nothing of theirs turns it off."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_info() -> Iterator[None]:
    """Leave out lines ``INFO: ...`` of the process's standard error; all others come when the block ends.

    LiteRT's interpreter greets with one. The environment variables of TensorFlow's logs do not reach it, and
    its Python interface has no setting (https://github.com/google-ai-edge/mediapipe/issues/2119). Keep the
    block short: whatever other threads write meanwhile is late.
    """
    try:
        shown = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            kept = b"".join(line for line in held if not line.startswith(b"INFO: "))
            if kept:
                os.write(2, kept)

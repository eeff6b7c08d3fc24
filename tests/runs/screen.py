"""A pseudo-terminal, or a pipe, and what was written to it."""

import os
import pty
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def screen(*, terminal: bool) -> Iterator[tuple[TextIO, Callable[[], str]]]:
    """Open one.

    Yields:
        A stream to write to, and a function that closes it and gives what was written.
    """
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(theirs, (24, 100))
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                parts.append(part)
        except OSError:
            pass  # the end of a terminal

    reader = threading.Thread(target=read)
    reader.start()
    stream = os.fdopen(theirs, "w", encoding="utf-8")

    def seen() -> str:
        stream.close()
        reader.join()
        return b"".join(parts).decode()

    try:
        yield stream, seen
    finally:
        seen()
        os.close(ours)

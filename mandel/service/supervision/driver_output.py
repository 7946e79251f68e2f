"""Keeps what the driver and its Ray print in a log file of its own."""

from __future__ import annotations

import logging
import os
import re
import threading
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from mandel import plain_file

_BYTES = 1 << 20  # of the file, and of the one before it
_LONGEST_LINE = 4_000
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class _Log(RotatingFileHandler):
    """For this user alone, never through a link, and never into a pipe, whose reader might be waited for."""

    def _open(self) -> TextIOWrapper:
        fd = plain_file.descriptor(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return open(fd, "a", errors="replace")

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk: what is printed goes nowhere, and nobody waits."""


class DriverOutput:
    """A file that takes all that is printed into a pipe, of bounded size.

    Args:
        path: the file; the one before it has ``.1`` behind its name.
    """

    def __init__(self, path: Path):
        self.path = path
        self._log = _Log(path, maxBytes=_BYTES, backupCount=1, delay=True)
        self._log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._reader: threading.Thread | None = None
        self._last = ""

    def pipe(self) -> int:
        """A descriptor to print into; its last line is forgotten. The caller closes it."""
        reading, writing = os.pipe()
        self._last = ""
        self._reader = threading.Thread(target=self._read, args=(reading,), name="chatter", daemon=True)
        self._reader.start()
        return writing

    def last(self, patience: float = 1.0) -> str:
        """The last line that was printed, and where there are more; nothing if nothing. Waits for its end."""
        if self._reader is not None:
            self._reader.join(patience)
        return f"{self._last[:400]} (more in {self.path})" if self._last else ""

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, errors="replace") as lines:
            while line := lines.readline(_LONGEST_LINE):
                if text := _COLOURS.sub("", line).strip():
                    self._last = text
                    self._log.handle(logging.makeLogRecord({"msg": "%s", "args": (text,)}))

"""Moves things under DB/ that this program does not know to lost/. They are never removed."""

from __future__ import annotations

import logging
import os
from itertools import count
from pathlib import Path

from mandel.store import durable
from mandel.store.names import Names

_log = logging.getLogger("mandel")

_MOST_LINES = 20  # written to the log at one start


class Lost:
    """Moves things to ``lost`` and logs it.

    Attributes:
        count: number of things moved.
    """

    def __init__(self, names: Names):
        self._names, self.count = names, 0

    def put(self, path: Path, why: str = "is not of this service") -> None:
        """Moves a file, a folder or a link (not its target). If that fails, logs it and leaves it. Never raises."""
        name = "/".join(path.relative_to(self._names.root).parts)
        try:
            durable.make_folder(self._names.lost)
            os.rename(path, self._free(name))
        except FileNotFoundError:
            return
        except OSError as error:
            _log.error("DB/%s %s, and could not be moved to lost/: %s", name, why, error.strerror)
            return
        self.count += 1
        if self.count <= _MOST_LINES:
            _log.warning("DB/%s %s: moved to lost/", name, why)
        elif self.count == _MOST_LINES + 1:
            _log.warning("more was moved to lost/")

    def _free(self, name: str) -> Path:
        """A free name in ``lost`` that tells where the thing was, cut to the file system's limit."""
        flat = os.fsencode(name.replace("/", "__"))[-200:].decode(errors="replace")
        return next(
            path
            for number in count()
            if not os.path.lexists(path := self._names.lost / f"{number:03d}-{flat}")
        )

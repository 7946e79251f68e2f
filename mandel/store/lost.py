"""Moves things under DB/ that this program does not know to lost/. They are never removed."""

from __future__ import annotations

import logging
import os
from itertools import count, takewhile
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
        name, lost = "/".join(path.relative_to(self._names.root).parts), self._names.lost
        try:
            # What has the name of the folder itself: into a new one, which then gets that name.
            if path == lost:
                path = _free(self._names.root, lost.name)
                path.mkdir(0o700)
                os.rename(lost, _free(path, name))
                os.rename(path, lost)
            else:
                durable.make_folder(lost)
                os.rename(path, _free(lost, name))
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

    def make_way(self, path: Path) -> None:
        """Puts aside what would keep something from getting the name ``path``: a folder there, and what is no folder
        (a link to one, too) among those that it lies in, and tmp. DB/jobs itself stays: it is all that there is.

        Raises:
            OSError: something is still in the way.
        """
        ours = self._names.jobs, self._names.root
        for folder in reversed(list(takewhile(lambda above: above not in ours, path.parents))):
            if os.path.lexists(folder) and not durable.is_folder(folder):
                self.put(
                    folder, "is in place of a folder"
                )  # the uppermost first: nothing is moved from behind a link
        if durable.is_folder(path):
            self.put(path, "is in place of a file")
        if not durable.is_folder(tmp := self._names.tmp):  # in which it is written
            self.put(tmp, "is in place of a folder")
            tmp.mkdir(0o700)
        durable.check_no_links(self._names.root, path)


def _free(folder: Path, name: str) -> Path:
    """A free name in ``folder`` that tells where the thing was, cut to the file system's limit."""
    flat = os.fsencode(name.replace("/", "__"))[-200:].decode(errors="replace")
    return next(path for number in count() if not os.path.lexists(path := folder / f"{number:03d}-{flat}"))

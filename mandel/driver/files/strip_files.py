"""A job's raw strips on disk: those found there, those that it leaves there.

A strip that is found is coloured instead of iterated: after a crash, and when a zoom is made again with another
look. The driver writes strips into the job's tmp folder and tells the head, which owns what lies in DB/. A job that
cannot use the disk only has more to iterate.

``look``, ``read`` and ``write`` work on the disk and change nothing else: a thread of the job calls them, and tells
the driver's loop what came of it. All else belongs to the loop, and touches no disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mandel import plain_file
from mandel.protocol import control
from mandel.tasks.units import RAW_SHADED


@dataclass(frozen=True)
class StripFile:
    """A strip in DB/, as the index has it.

    Attributes:
        base: the level that its samples are of.
    """

    path: Path
    base: int
    bytes: int
    sha256: str

    def is_shaded(self) -> bool:
        """Whether the file also has slopes and distances. Reads it."""
        try:
            with plain_file.reader(self.path) as file:
                return file.read(len(RAW_SHADED)) == RAW_SHADED
        except OSError:
            return False

    def read(self) -> npt.NDArray[np.uint8] | None:
        """What is in the file, uint8; None unless its digest proves it."""
        try:
            data = plain_file.content(self.path, self.bytes)
        except OSError:
            return None
        if len(data) != self.bytes or hashlib.sha256(data).hexdigest() != self.sha256:
            return None
        return np.frombuffer(data, np.uint8)


class StripFiles:
    """The strips of one job.

    Args:
        job: its id.
        tmp: where files are written.
        found: the strips in DB/: by number the fields of a ``StripFile``.
        keeps: whether they stay there when the job is done.
    """

    def __init__(
        self, job: str, tmp: Path, found: Mapping[int, Sequence[Any]] | None = None, keeps: bool = False
    ):
        self.keeps = keeps
        self._job, self._tmp = job, tmp
        self._found = {strip: StripFile(Path(path), *rest) for strip, (path, *rest) in (found or {}).items()}
        self._shaded: Collection[int] = ()  # of those found
        self._stored = set(self._found)
        self._full = False

    @property
    def bases(self) -> dict[int, int]:
        """The level of each strip that can be read."""
        return {strip: file.base for strip, file in self._found.items()}

    def base(self, strip: int) -> int:
        """The level of a strip that can be read."""
        return self._found[strip].base

    def look(self) -> Collection[int]:
        """Which of the strips that were found also have slopes and distances: for ``seen``. Reads their files."""
        return {strip for strip, file in dict(self._found).items() if file.is_shaded()}

    def seen(self, shaded: Collection[int]) -> None:
        """Takes what ``look`` gave."""
        self._shaded = shaded

    @property
    def any_found(self) -> bool:
        """Whether any strip can be read."""
        return bool(self._found)

    def has(self, strip: int, shaded: bool = False) -> bool:
        """Whether a strip can be read instead of iterated.

        Args:
            shaded: whether its slopes and distances are needed.
        """
        return strip in self._found and (not shaded or strip in self._shaded)

    def forget(self, strip: int) -> None:
        """Iterate this one; fine if it was not there."""
        self._found.pop(strip, None)

    def file(self, strip: int) -> StripFile:
        """The file of a strip that can be read."""
        return self._found[strip]

    def made(self, strip: int) -> control.Strip:
        """A strip was made; the event that says so. ``write`` adds the file, where the strip ``is_wanted``."""
        return control.Strip(job=self._job, strip=strip, found=self.has(strip))

    def is_wanted(self, event: control.Strip) -> bool:
        """Whether the samples of a strip that was made are to be stored."""
        return not event.found and not self._full

    def write(self, event: control.Strip, base: int, raw: npt.NDArray[np.uint8]) -> control.Strip:
        """Stores samples of level ``base``, uint8; the event with the file, or with what kept it from being written."""
        path = self._tmp / f"{self._job[:16]}-{event.strip}.strip"
        try:
            path.write_bytes(raw.data)
        except OSError as error:  # it is only iterated again, should it be needed again
            with suppress(OSError):
                path.unlink()
            return replace(event, error=f"strips are not stored any more: {error.strerror or error}")
        sha256 = hashlib.sha256(raw.data).hexdigest()
        return replace(event, path=str(path), base=base, bytes=len(raw), sha256=sha256)

    def written(self, event: control.Strip) -> control.Strip:
        """Takes what ``write`` gave; the event to be told. A disk that refuses is told of once."""
        if event.error is None:
            self._stored.add(event.strip)
        elif self._full:
            event = replace(event, error=None)
        else:
            self._full = True
        return event

    def unneeded(self, first: int, last_frame: Callable[[int], int]) -> list[int]:
        """Stored strips that may go, since all frames before ``first`` are durable; each is named once.

        Args:
            last_frame: the last frame that shows a strip.
        """
        if self.keeps:
            return []
        gone = sorted(strip for strip in self._stored if last_frame(strip) < first)
        self._stored.difference_update(gone)
        return gone

"""A job's raw strips on disk: those found there, those that it leaves there.

A strip found is painted instead of iterated: after a crash, and when a zoom is
made again with another look. The driver writes into the job's tmp folder and
tells the supervisor, who owns what lies in DB/; without a disk a job only has
more to iterate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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

    @cached_property
    def is_shaded(self) -> bool:
        """Whether the file also has slopes and distances."""
        try:
            with self.path.open("rb") as file:
                return file.read(len(RAW_SHADED)) == RAW_SHADED
        except OSError:
            return False

    def read(self) -> npt.NDArray[np.uint8] | None:
        """What is in the file, uint8; None unless its digest proves it."""
        try:
            data = self.path.read_bytes()
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
        self._stored = set(self._found)
        self._full = False

    @property
    def bases(self) -> dict[int, int]:
        """The level of each strip that can be read."""
        return {strip: file.base for strip, file in self._found.items()}

    def base(self, strip: int) -> int:
        """The level of a strip that can be read."""
        return self._found[strip].base

    def has(self, strip: int, shaded: bool = False) -> bool:
        """Whether a strip can be read instead of iterated.

        Args:
            shaded: whether its slopes and distances are needed.
        """
        return strip in self._found and (not shaded or self._found[strip].is_shaded)

    def forget(self, strip: int) -> None:
        """Iterate this one; fine if it was not there."""
        self._found.pop(strip, None)

    def read(self, strip: int) -> npt.NDArray[np.uint8] | None:
        """A strip's bytes, uint8; None if they are not what was stored: it is then forgotten."""
        data = self._found[strip].read()
        if data is None:
            self.forget(strip)
        return data

    def made(self, strip: int, base: int, raw: npt.NDArray[np.uint8] | None) -> control.Strip:
        """A strip was made; the event that says so, with the file of its samples if it has one now.

        Args:
            raw: its samples, uint8, if they came along.
        """
        event = control.Strip(job=self._job, strip=strip, found=self.has(strip))
        if raw is None or event.found or self._full:
            return event
        path = self._tmp / f"{self._job[:16]}-{strip}.strip"
        try:
            path.write_bytes(raw.data)
        except OSError as error:  # it is only iterated again, should it be needed again
            path.unlink(missing_ok=True)
            self._full = True
            return replace(event, error=f"strips are not stored any more: {error.strerror or error}")
        self._stored.add(strip)
        sha256 = hashlib.sha256(raw.data).hexdigest()
        return replace(event, path=str(path), base=base, bytes=len(raw), sha256=sha256)

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

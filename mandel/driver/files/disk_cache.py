"""Keeps results in DB/cache, for other jobs and other drivers. A lost file costs only time."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from mandel import plain_file

_MOST_BYTES = 4 << 30


class Cache:
    """Files by key in one folder; the oldest go when they take too much room together.

    The content must tell by itself whether it is whole: a crash or a full disk
    leaves a file absent or complete, a failing disk may still change it.

    Args:
        folder: made when needed.
        most: bytes that all files may take.
    """

    def __init__(self, folder: Path, most: int = _MOST_BYTES):
        self._folder = Path(folder)
        self._most = most

    @staticmethod
    def key(unit: object) -> str:
        """The name of what a unit of work makes: SHA-256 of its fields."""
        return hashlib.sha256(repr(unit).encode()).hexdigest()

    def keys(self, prefix: str) -> list[str]:
        """Those that begin with ``prefix``."""
        try:
            return [name for name in os.listdir(self._folder) if name.startswith(prefix)]
        except OSError:
            return []

    def get(self, key: str) -> bytes | None:
        """What was kept under ``key``, if it is still there."""
        try:
            path = self._folder / key
            data = plain_file.content(path, self._most)
            os.utime(path)  # used now: among the last to go
            return data
        except OSError:
            return None

    def remove(self, key: str) -> None:
        """What was kept under ``key`` is not needed any more; fine if nothing was."""
        try:
            (self._folder / key).unlink(missing_ok=True)
        except OSError:
            pass  # it goes with the oldest

    def put(self, key: str, data: bytes) -> None:
        """Keeps ``data``, unless the disk refuses: a cache is no reason to fail."""
        temporary = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                temporary = Path(file.name)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._folder / key)
            self._make_room()
        except OSError:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def _make_room(self) -> None:
        files = sorted(
            ((p.stat().st_mtime, p.stat().st_size, p) for p in self._folder.iterdir()), reverse=True
        )
        taken = 0
        for _, size, path in files:
            taken += size
            if taken > self._most:
                path.unlink(missing_ok=True)

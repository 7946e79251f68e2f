"""Raw strips under DB/. They are stored like segments, but a lost strip costs only time.

A strip that cannot be stored, or that is damaged, is iterated again. So errors
about strips end no job. The driver proves a strip's digest when it reads it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mandel.errors import StoreError
from mandel.store import durable
from mandel.store.index import Index
from mandel.store.lost import Lost
from mandel.store.names import Names

# What strips take on the disk, in blocks of 4 KiB.
BLOCKS = "coalesce(sum((bytes + 4095) / 4096 * 4096), 0)"
_LEAST_FREE = 256 << 20  # bytes left for segments and videos, without which jobs would fail


@dataclass(frozen=True)
class StoredStrip:
    """A stored strip whose digest was not checked. ``base`` is the level of its samples."""

    number: int
    path: Path
    base: int
    bytes: int
    sha256: str


class StoredStrips:
    """The strips in the index and their files."""

    def __init__(self, index: Index, names: Names, lost: Lost):
        self._index, self._names, self._lost = index, names, lost

    def add(self, job: str, number: int, base: int, tmp: Path, sha256: str) -> None:
        """Adopts a closed strip. It replaces an older one with the same number.

        Args:
            job: id of the job whose map it is part of.
            tmp: the file, on the same file system as the store. It is moved.
            sha256: digest that the writer reports; the file on the disk must have it.

        Raises:
            StoreError: DIGEST_MISMATCH, DISK_FULL, DISK_FAILED, INDEX_FAILED.
        """
        final = self._names.strip(job, number)
        try:
            with durable.disk_errors("storing a strip"):
                if shutil.disk_usage(self._names.root).free < _LEAST_FREE:
                    raise StoreError("DISK_FULL", f"less than {_LEAST_FREE >> 20} MiB are free")
                self._lost.make_way(final)
                size, found = durable.adopt(tmp, final, "strip", sha256)
        except StoreError:
            durable.remove(tmp)
            raise
        with self._index.write("strip") as db:
            row = job, number, base, size, found
            db.execute("INSERT OR REPLACE INTO strips VALUES (?, ?, ?, ?, ?)", row)

    def of(self, job: str) -> list[StoredStrip]:
        """The strips of a job's map."""
        rows = self._index.read("SELECT * FROM strips WHERE job = ? ORDER BY number", job)
        return [
            StoredStrip(number, self._names.strip(job, number), base, size, sha256)
            for _, number, base, size, sha256 in map(tuple, rows)
        ]

    def bytes(self, job: str) -> int:
        """Bytes that a job's strips take on the disk, as the job's own bytes count them."""
        return int(self._index.read(f"SELECT {BLOCKS} FROM strips WHERE job = ?", job)[0][0])

    def remove(self, job: str, numbers: Iterable[int] | None = None) -> None:
        """Removes some of a job's strips, or all. Raises StoreError."""
        # In this order: a row without its file is noticed, a file without a row would stay.
        values: list[tuple[str | int, ...]]
        if numbers is None:
            where, values, paths = "job = ?", [(job,)], [self._names.strips(job)]
        else:
            chosen = list(numbers)
            where, values = "job = ? AND number = ?", [(job, number) for number in chosen]
            paths = [self._names.strip(job, number) for number in chosen]
        with durable.disk_errors("removing strips"):
            for path in paths:
                durable.check_no_links(self._names.root, path)
                durable.remove(path)
        with self._index.write("discard") as db:
            db.executemany(f"DELETE FROM strips WHERE {where}", values)

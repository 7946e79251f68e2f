"""Counts the bytes that DB/ takes on the disk. Links count as files of their own and are never followed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from mandel.store.durable import room
from mandel.store.index import Index
from mandel.store.names import Names


@dataclass(frozen=True)
class Usage:
    """Bytes under DB/, in blocks of 4 KiB.

    Attributes:
        jobs: videos, segments, strips and payloads.
        cache: the driver's cache.
        lost: the content of lost/.
        rest: the index, tmp/ and everything else.
        pinned: the part of ``jobs`` that belongs to pinned jobs.
        free: bytes that the disk has left.
    """

    jobs: int
    cache: int
    lost: int
    rest: int
    pinned: int
    free: int

    @property
    def total(self) -> int:
        """The bytes of all of DB/."""
        return self.jobs + self.cache + self.lost + self.rest


def usage(index: Index, names: Names) -> Usage:
    """The usage of an open store. The index tells what jobs take; the other folders are scanned."""
    jobs, pinned = index.read(
        "SELECT coalesce(sum(bytes), 0), coalesce(sum(bytes * (pinned != 0)), 0) FROM jobs"
    )[0]
    cache, lost = of_folder(names.cache), of_folder(names.lost)
    rest = of_folder(names.tmp) + sum(
        of_folder(Path(entry.path))
        for entry in _entries(names.root)
        if Path(entry.path) not in (names.jobs, names.cache, names.lost, names.tmp)
    )
    return Usage(jobs, cache, lost, rest, pinned, shutil.disk_usage(names.root).free)


def share_of_disk(now: Usage, share: float) -> int:
    """The bytes that DB/ may take: ``share`` of its present size plus the free space."""
    return int(share * (now.total + now.free))


def of_folder(path: Path) -> int:
    """Bytes that a folder with all its content, or a file, takes; 0 if it does not exist."""
    total, todo = 0, [path]
    while todo:
        one = todo.pop()
        try:
            total += room(max(1, one.lstat().st_size))
        except OSError:
            continue  # removed meanwhile
        if one.is_dir() and not one.is_symlink():
            entries = _entries(one)
            todo += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
            for entry in entries:
                try:
                    if not entry.is_dir(follow_symlinks=False):
                        total += room(entry.stat(follow_symlinks=False).st_size)
                except OSError:
                    continue
    return total


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []

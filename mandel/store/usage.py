"""What DB/ takes on the disk, everything counted. Links are counted as such, never followed."""

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
    """Bytes, in blocks of 4 KiB. ``jobs``: videos, segments, strips, payloads; ``cache``: what the driver keeps;
    ``lost``: what lies in lost/; ``rest``: the index, tmp/ and whatever else there is; ``pinned``: of ``jobs``,
    those that are pinned; ``free``: what the disk has left."""

    jobs: int
    cache: int
    lost: int
    rest: int
    pinned: int
    free: int

    @property
    def total(self) -> int:
        """What all of DB/ takes."""
        return self.jobs + self.cache + self.lost + self.rest


def usage(index: Index, names: Names) -> Usage:
    """Of a store that is open: the jobs are looked up, the rest is looked at."""
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
    """Bytes that DB/ may take: ``share`` of what it has and of what is free."""
    return int(share * (now.total + now.free))


def of_folder(path: Path) -> int:
    """What a folder takes with all in it, or a file; 0 if there is none."""
    total, todo = 0, [path]
    while todo:
        one = todo.pop()
        try:
            total += room(max(1, one.lstat().st_size))
        except OSError:
            continue  # gone meanwhile
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

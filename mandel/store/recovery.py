"""What opening the store finds and does after a crash: only what has a row counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mandel.store import durable
from mandel.store.index import Index
from mandel.store.names import SEGMENT, VIDEO, Names
from mandel.store.states import DONE, PAUSED, QUEUED


@dataclass(frozen=True)
class Recovery:
    """What opening the store found and did."""

    unfinished: int
    segments: int
    strips: int
    damaged: int
    removed: int

    def __str__(self) -> str:
        said = [
            f"{count} {what}" for count, what in (
                (self.unfinished, f"unfinished {'job goes' if self.unfinished == 1 else 'jobs go'} on, with "
                 f"{self.segments} finished segment{'' if self.segments == 1 else 's'}"
                 + (f" and {self.strips} strip{'' if self.strips == 1 else 's'}" if self.strips else "")),
                (self.damaged, "of them because their videos were damaged"),
                (self.removed, "unproven files removed"),
            ) if count
        ]
        return ", ".join(said) or "nothing to recover"


def recover(index: Index, names: Names, discard_video: Callable[[str], None]) -> Recovery:
    """Removes what a crash left half done and queues jobs whose videos are damaged."""
    removed = damaged = 0
    for entry in (*names.tmp.iterdir(), *names.cache.glob("tmp*")):
        durable.remove(entry)
        removed += 1
    sizes = {
        (row["id"], row["kind"]): row["bytes"]
        for row in index.read(
            "SELECT j.id, f.kind, f.bytes FROM jobs j LEFT JOIN files f ON f.job = j.id "
            "AND f.kind != ? WHERE j.state = ?", SEGMENT, DONE)
    }
    whole = {job for job, kind in sizes if kind == VIDEO}
    for (job, kind), size in sizes.items():
        if kind is not None and not _has_size(names.file(job, kind), size):
            whole.discard(job)
    for job in {job for job, _ in sizes} - whole:
        discard_video(job)
        damaged += 1
    waiting = index.read("SELECT id FROM jobs WHERE state IN (?, ?)", QUEUED, PAUSED)
    unfinished = {row["id"] for row in waiting}
    removed += _remove_unproven(index, names, unfinished)
    segments = index.read(
        "SELECT count(*) FROM files f JOIN jobs j ON j.id = f.job WHERE j.state IN (?, ?) AND f.kind = ?",
        QUEUED, PAUSED, SEGMENT)[0][0]
    strips = index.read(
        "SELECT count(*) FROM strips s JOIN jobs j ON j.id = s.job WHERE j.state IN (?, ?)",
        QUEUED, PAUSED)[0][0]
    return Recovery(len(unfinished), segments, strips, damaged, removed)


def _remove_unproven(index: Index, names: Names, unfinished: set[str]) -> int:
    """Removes job folders without a row, and files without a row where some may have been under way."""
    known = {row["id"] for row in index.read("SELECT id FROM jobs")}
    removed = 0
    for folder in names.jobs.glob("*/*"):
        if folder.name not in known:
            durable.remove(folder)
            removed += 1
        elif folder.name in unfinished or names.strips(folder.name).is_dir():
            keep = {names.payload(folder.name)}
            for row in index.read("SELECT kind, number FROM files WHERE job = ?", folder.name):
                keep.add(names.file(folder.name, row["kind"], row["number"]))
            for row in index.read("SELECT number FROM strips WHERE job = ?", folder.name):
                keep.add(names.strip(folder.name, row["number"]))
            for path in folder.rglob("*"):
                if path.is_file() and path not in keep:
                    durable.remove(path)
                    removed += 1
    return removed


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False

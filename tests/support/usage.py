"""What a service and its cluster take of the machine, over time, and how it grows."""

from __future__ import annotations

import os
import re
import sqlite3
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from mandel.service.service import driver_command
from mandel.service.supervision.driver_process import leash_command
from mandel.settings import Settings


def _words(command: list[str]) -> str:
    """A pattern for these words of a command line, one behind the other."""
    return re.escape(" ".join(command))


# The first that fits a command line is what the process is; the leash names its child on its own. Those that this
# program starts are told from the commands that start them, so that no pattern looks for what has moved.
ROLES = (
    ("listener", r"ray_head\.py"),
    ("leash", _words(leash_command(0, 0, [])[2:3])),
    ("driver", _words(driver_command(Settings())[1:3])),
    ("gcs", r"gcs/gcs_server"),
    ("raylet", r"raylet/raylet"),
    ("agent", r"^ray::\w*Agent"),
    ("worker", r"^ray::"),
)
# A process loads and warms up first: what it took earlier in its life says nothing about growth.
_YOUNG_SECONDS = 120.0


def role_of(command: str) -> str:
    """What a process is by its command line; "other" for Ray's agents and the like."""
    return next((role for role, pattern in ROLES if re.search(pattern, command)), "other")


def of_process(pid: int) -> dict[str, int]:
    """Resident KiB without shared memory, KiB of that, open descriptors and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    kib = {name: int(fields[name].split()[0]) for name in ("VmRSS", "RssShmem")}
    return {
        "KiB": kib["VmRSS"] - kib["RssShmem"],
        "shared_KiB": kib["RssShmem"],
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(fields["Threads"]),
    }


def of_folder(folder: Path) -> int:
    """KiB that the files under ``folder`` take on disk."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks
            except OSError:
                continue  # gone meanwhile
    return total // 2


def rows(db: Path) -> int:
    """Jobs in the index of a DB folder."""
    index = sqlite3.connect(f"file:{db / 'index.sqlite3'}?mode=ro", uri=True)
    try:
        return index.execute("SELECT count(*) FROM jobs").fetchone()[0]
    finally:
        index.close()


@dataclass
class Series:
    """Values of one quantity: (seconds, whose, value); ``whose`` is the pid, or 0."""

    points: list[tuple[float, int, float]] = field(default_factory=list)

    def thirds(self) -> tuple[float, float]:
        """Median of the middle and of the last third of the time."""
        end = self.points[-1][0]
        parts = [
            [v for t, _, v in self.points if low < t / end <= high]
            for low, high in ((1 / 3, 2 / 3), (2 / 3, 1))
        ]
        return tuple(statistics.median(part or [v for _, _, v in self.points]) for part in parts)

    def slope(self, since: float) -> float:
        """Growth per hour after ``since`` seconds, by least squares within the life of each process."""
        lives: dict[int, list[tuple[float, float]]] = {}
        for moment, pid, value in self.points:
            lives.setdefault(pid, []).append((moment, value))
        upper = lower = 0.0
        for life in lives.values():
            old = [(t, v) for t, v in life if t >= since and t >= life[0][0] + _YOUNG_SECONDS]
            if len(old) > 1:
                t0, v0 = (statistics.fmean(column) for column in zip(*old, strict=True))
                upper += sum((t - t0) * (v - v0) for t, v in old)
                lower += sum((t - t0) ** 2 for t, _ in old)
        return 3600 * upper / lower if lower else 0.0


class Watch:
    """Samples of everything, by name: ``"listener KiB"``, ``"DB KiB"``, ``"all processes"``."""

    def __init__(self):
        self.series: dict[str, Series] = {}
        self._began = time.monotonic()

    def look(self, running: dict[int, str], folders: dict[str, Path], db: Path) -> None:
        """Takes one sample.

        Args:
            running: command line by pid.
            folders: those whose size counts, by name.
            db: the service's DB folder.
        """
        now = time.monotonic() - self._began
        shared = 0
        for pid, command in running.items():
            role = role_of(command)
            try:
                taken = of_process(pid)
            except (OSError, KeyError):
                continue  # ended meanwhile
            if role == "raylet":
                shared += taken["shared_KiB"]
            if role in ("listener", "driver", "gcs", "raylet"):
                for what in ("KiB", "descriptors", "threads"):
                    self._note(f"{role} {what}", now, pid, taken[what])
        self._note("object stores KiB", now, 0, shared)
        self._note("processes", now, 0, len(running))
        for name, folder in folders.items():
            self._note(f"{name} KiB", now, 0, of_folder(folder))
        self._note("jobs in the index", now, 0, rows(db))

    def _note(self, name: str, now: float, pid: int, value: float) -> None:
        self.series.setdefault(name, Series()).points.append((now, pid, value))

    def report(self) -> str:
        """A line for each quantity: medians of the middle and last third, growth in the last half."""
        half = (time.monotonic() - self._began) / 2
        lines = []
        for name, series in sorted(self.series.items()):
            middle, last = series.thirds()
            lines.append(f"{name}: {middle:.0f} to {last:.0f}, {series.slope(half):+.1f} an hour")
        return "\n    ".join(lines)

"""The one place that knows what files under DB/ are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SEGMENT = "segment"
VIDEO = "video"
POSTER = "poster"

_ID = re.compile(r"[0-9a-f]{64}")


def is_job_id(text: object) -> bool:
    """Whether ``text`` can be a job id: 64 lower-case hex digits."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Names:
    """Paths under the folder ``root``; nothing here touches the disk."""

    root: Path

    @property
    def index(self) -> Path:
        return self.root / "index.sqlite3"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def renderer_log(self) -> Path:
        """What the driver and its Ray print; the one before it has ``.1`` behind its name."""
        return self.root / "renderer.log"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def cache(self) -> Path:
        """What the driver keeps between jobs; it alone writes there, first as tmp..., and all of it may go."""
        return self.root / "cache"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def job(self, job: str) -> Path:
        """Folder of a job; the id must be one, as no text of a client ever becomes a path."""
        if not is_job_id(job):
            raise ValueError("not a job id")
        return self.jobs / job[:2] / job

    def payload(self, job: str) -> Path:
        return self.job(job) / "payload.json"

    def strips(self, job: str) -> Path:
        """Folder of a job's raw strips."""
        return self.job(job) / "strips"

    def strip(self, job: str, number: int) -> Path:
        return self.strips(job) / f"{number:05d}.strip"

    def file(self, job: str, kind: str, number: int = 0) -> Path:
        """A job's segment ``number``, its video or its poster."""
        if kind == SEGMENT:
            return self.job(job) / "segments" / f"{number:05d}.h264"
        return self.job(job) / {VIDEO: "video.mp4", POSTER: "poster.png"}[kind]

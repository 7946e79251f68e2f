"""The one place that knows what files under DB/ are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mandel.payload.job_id import is_job_id

SEGMENT = "segment"
VIDEO = "video"
POSTER = "poster"

# What may lie in a job's folder. Whatever else is found there is not ours.
_FILES = re.compile(
    r"payload\.json|video\.json|video\.mp4|poster\.png|segments/[0-9]{5,9}\.h264|strips/-?[0-9]{4,9}\.strip"
)
_TMP = re.compile(r"[0-9a-f]{16}-[0-9]+|[0-9a-f]{64}(-video)?\.json|gone-[0-9]+")
_CACHED = re.compile(r"[0-9a-f]{64}")
_gone = count()
_HALF_CACHED = re.compile(r"tmp[a-z0-9_]{8}")


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
    def marker(self) -> Path:
        """Says that the folder is this program's."""
        return self.root / "mandel-db.txt"

    @property
    def lost(self) -> Path:
        """Where goes what was found under DB/ and is not known to be this program's."""
        return self.root / "lost"

    @property
    def renderer_log(self) -> Path:
        """What the driver and its Ray print; the one before it has ``.1`` behind its name."""
        return self.root / "renderer.log"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def new_gone(self) -> Path:
        """Where something is moved that is to be removed: never used twice, as tmp is emptied at the start."""
        return self.tmp / f"gone-{next(_gone)}"

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

    def proof(self, job: str) -> Path:
        """What is known of a job's video, beside it: enough for its row in the index."""
        return self.job(job) / "video.json"

    def segments(self, job: str) -> Path:
        """Folder of a job's segments."""
        return self.job(job) / "segments"

    def strips(self, job: str) -> Path:
        """Folder of a job's raw strips."""
        return self.job(job) / "strips"

    def strip(self, job: str, number: int) -> Path:
        return self.strips(job) / f"{number:05d}.strip"

    def file(self, job: str, kind: str, number: int = 0) -> Path:
        """A job's segment ``number``, its video or its poster."""
        if kind == SEGMENT:
            return self.segments(job) / f"{number:05d}.h264"
        return self.job(job) / {VIDEO: "video.mp4", POSTER: "poster.png"}[kind]

    @staticmethod
    def is_ours_in_job(name: str) -> bool:
        """Whether a file of a job's folder can be so called; ``name`` is relative to the folder."""
        return _FILES.fullmatch(name) is not None

    @staticmethod
    def is_ours_in_tmp(name: str) -> bool:
        return _TMP.fullmatch(name) is not None

    @staticmethod
    def is_ours_in_cache(name: str) -> bool:
        return _CACHED.fullmatch(name) is not None

    @staticmethod
    def is_half_cached(name: str) -> bool:
        """Whether the driver died before it gave this file of the cache its name."""
        return _HALF_CACHED.fullmatch(name) is not None

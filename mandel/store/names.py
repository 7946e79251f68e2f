"""Names of all files under DB/. No other module knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mandel.payload.job_id import is_job_id

SEGMENT = "segment"
VIDEO = "video"
POSTER = "poster"

# Names that a file in a job's folder may have. Files with other names are not ours.
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
    def index_files(self) -> list[Path]:
        """The index, and the files that SQLite keeps beside it, which go first when all are moved."""
        return [self.root / f"{self.index.name}{end}" for end in ("-wal", "-shm", "-journal", "")]

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def marker(self) -> Path:
        """Says that the folder is this program's."""
        return self.root / "mandel-db.txt"

    @property
    def lost(self) -> Path:
        """Folder for things found under DB/ that this program does not know."""
        return self.root / "lost"

    @property
    def renderer_log(self) -> Path:
        """The output of the driver and its Ray."""
        return self.root / "renderer.log"

    @property
    def renderer_logs(self) -> list[Path]:
        """That file, and the one before it."""
        return [self.renderer_log, self.root / f"{self.renderer_log.name}.1"]

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def new_gone(self) -> Path:
        """A new name in tmp for something that is about to be removed. It is never used twice."""
        return self.tmp / f"gone-{next(_gone)}"

    @property
    def cache(self) -> Path:
        """The driver's folder for files it can make again. Only the driver writes there; names begin with tmp until a
        file is complete.
        """
        return self.root / "cache"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def job(self, job: str) -> Path:
        """Folder of a job. Raises ValueError for anything but a job id: no client's text becomes a path."""
        if not is_job_id(job):
            raise ValueError("not a job id")
        return self.jobs / job[:2] / job

    def payload(self, job: str) -> Path:
        return self.job(job) / "payload.json"

    def proof(self, job: str) -> Path:
        """``video.json`` beside a job's video: the facts that its row in the index needs."""
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
        """A job's segment ``number``, its video or its poster.

        The endings are the same whatever the codec and the container: who reads a file looks at its first bytes.
        """
        if kind == SEGMENT:
            return self.segments(job) / f"{number:05d}.h264"
        return self.job(job) / {VIDEO: "video.mp4", POSTER: "poster.png"}[kind]

    @staticmethod
    def is_ours_in_job(name: str) -> bool:
        """Whether this program gives files of a job's folder this ``name`` (relative to the folder)."""
        return _FILES.fullmatch(name) is not None

    @staticmethod
    def is_ours_in_tmp(name: str) -> bool:
        return _TMP.fullmatch(name) is not None

    @staticmethod
    def is_ours_in_cache(name: str) -> bool:
        return _CACHED.fullmatch(name) is not None

    @staticmethod
    def is_half_cached(name: str) -> bool:
        """Whether the driver died before this file of the cache was complete."""
        return _HALF_CACHED.fullmatch(name) is not None

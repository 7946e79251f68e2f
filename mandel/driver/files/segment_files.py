"""Writes encoded segments into a job's tmp folder. The head takes them from there."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

from mandel.errors import RenderError

DISK_FULL = RenderError("DISK_FULL", "no space left for the job's files; free some and ask again")


def write_segment(tmp: Path, job: str, index: int, data: bytes | memoryview) -> dict[str, Any]:
    """Writes a segment; where it lies, its size and its digest, as the event of it has them.

    Raises:
        OSError: the disk is full or failed.
    """
    path = tmp / f"{job[:16]}-{index:06d}.h264"
    path.write_bytes(data)
    return {"path": str(path), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def disk_error(error: OSError) -> RenderError:
    """What a person is told of it."""
    if error.errno == errno.ENOSPC:
        return DISK_FULL
    return RenderError("DISK_FAILED", f"a file of the job could not be written: {error}")

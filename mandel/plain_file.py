"""Opens regular files only: never a link, a pipe, a device or a folder, and never waits for a pipe's other end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def descriptor(path: Path, flags: int = os.O_RDONLY) -> int:
    """Opens a regular file by ``os.open`` with ``flags``; one that is made is readable by this user alone.

    Raises:
        OSError: also if ``path`` is a link or no regular file.
    """
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return fd


def reader(path: Path) -> BinaryIO:
    """Opens a regular file for reading. Raises OSError as ``descriptor`` does."""
    return os.fdopen(descriptor(path), "rb")


def content(path: Path, most: int | None = None) -> bytes:
    """All that is in a regular file. Raises OSError as ``descriptor`` does, and if it has more than ``most`` bytes."""
    with reader(path) as file:
        if most is not None and os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()

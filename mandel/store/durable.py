"""Writes files that are complete or absent after any crash."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mandel import plain_file
from mandel.errors import StoreError
from mandel.store.failpoint import failpoint

_CHUNK = 1 << 20
_BLOCK = 4096
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turns OSError into StoreError: DISK_FULL or DISK_FAILED."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError("DISK_FULL", f"no space left while {what}; free some and ask again") from error
        raise StoreError("DISK_FAILED", f"{error.strerror or error} while {what}") from error


def sync_folder(folder: Path) -> None:
    """Makes the names in ``folder`` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def room(size: int) -> int:
    """Bytes that a file of ``size`` bytes takes on a disk, in whole blocks. A folder counts as 1 byte."""
    return -(-size // _BLOCK) * _BLOCK


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Makes ``folder`` and its parents durably, unless they exist."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(folder.parent)


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder itself, not a link to one."""
    return path.is_dir() and not path.is_symlink()


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with all its content, if it exists. Never follows a link."""
    if is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def check_no_links(root: Path, path: Path) -> None:
    """Raises OSError (ELOOP) if any folder between ``root`` and ``path`` is a link."""
    for folder in path.parents:
        if folder == root:
            return
        if folder.is_symlink():
            raise OSError(errno.ELOOP, f"{folder.relative_to(root)} is a link", str(folder))


def digest(file: BinaryIO) -> tuple[int, str]:
    """Size in bytes and SHA-256 (hex) of a whole open binary file, which is left at its start."""
    file.seek(0)
    sha, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        sha.update(chunk)
        size += len(chunk)
    file.seek(0)
    return size, sha.hexdigest()


def adopt(tmp: Path, final: Path, label: str, sha256: str | None = None) -> tuple[int, str]:
    """Moves the closed file ``tmp`` to ``final`` durably, readable by this user alone.

    Args:
        label: name of the file's kind in failpoints.
        sha256: digest that the file must have, or None. A file with another digest is not moved.

    Returns:
        Size in bytes and SHA-256 (hex), read back from the file itself.

    Raises:
        StoreError: DIGEST_MISMATCH.
        OSError: the disk failed.
    """
    make_folder(final.parent)
    with plain_file.reader(tmp) as file:
        with failpoint(f"{label}.fsync"):
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        found = digest(file)
    if sha256 not in (None, found[1]):
        raise StoreError("DIGEST_MISMATCH", f"{final.name} is not what its writer wrote")
    with failpoint(f"{label}.rename"):
        os.replace(tmp, final)
    with failpoint(f"{label}.folder"):
        sync_folder(final.parent)
    return found


def write(tmp: Path, final: Path, data: bytes, label: str) -> tuple[int, str]:
    """Writes ``data`` to ``tmp``, then adopts it as ``final``. After an error ``tmp`` is gone."""
    try:
        with failpoint(f"{label}.write"):
            tmp.write_bytes(data)
        return adopt(tmp, final, label)
    except OSError:
        tmp.unlink(missing_ok=True)
        raise

"""A file that is absent or complete under its final name."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from mandel.errors import TransferError


def check_writable(path: Path) -> None:
    """Checks that the file ``path`` could be written, before any work is done for it.

    Raises:
        TransferError: BAD_OUTPUT.
    """
    folder = path.parent
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = stat.S_IFREG
    except OSError as error:
        raise TransferError("BAD_OUTPUT", f"{path}: {error.strerror}; name another file with -o") from None
    if stat.S_ISDIR(mode):
        why = f"{path} is a folder; name a file in it"
    elif not stat.S_ISREG(mode):
        why = f"{path} is no ordinary file; name one with -o"
    elif not folder.exists():
        why = f"there is no folder {folder}; make it (mkdir -p), or name a file elsewhere with -o"
    elif not folder.is_dir():
        why = f"{folder} is a file, not a folder; name a file elsewhere with -o"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"cannot write into {folder.absolute()}; name a file elsewhere with -o"
    else:
        return
    raise TransferError("BAD_OUTPUT", why)


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransferError("STORE_FAILED", f"could not write {path}: {error.strerror or error}") from None


def put_aside(path: Path, sha256: str) -> Path | None:
    """Renames a file that is about to be replaced, unless it has this digest; its new name (None: nothing to do).

    Raises:
        TransferError: STORE_FAILED.
    """
    with _os_errors(path):
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return None
        except FileNotFoundError:
            return None
        kept = next(
            name
            for number in count(1)
            if not (name := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists()
        )
        path.replace(kept)
    return kept


class AtomicFile:
    """Writes to a temporary file in the same folder. ``commit`` gives it its name, ``discard`` removes it.

    Args:
        path: the final name; ``commit`` replaces an existing file.
        size: number of bytes that will be written.

    Raises (from every method):
        TransferError: STORE_FAILED.
    """

    def __init__(self, path: Path, size: int):
        self.path = path
        disk = os.statvfs(path.parent)
        free = disk.f_bavail * disk.f_frsize
        if size > free:
            raise TransferError("STORE_FAILED", f"{size} bytes are needed, {free} are free in {path.parent}")
        with _os_errors(path):
            self._temporary = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.part")
            descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        with _os_errors(self.path):
            self._file.write(data)

    def commit(self) -> None:
        """Syncs the file to the disk, renames it, and syncs the folder."""
        with _os_errors(self.path):
            self._file.flush()
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(self._file.fileno(), 0o666 & ~umask)
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._temporary, self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Removes the temporary file, unless it was committed."""
        try:
            self._file.close()
        except OSError:
            pass  # closing flushes, and fails again on a full disk; the file is removed anyway
        self._temporary.unlink(missing_ok=True)

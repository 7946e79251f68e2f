"""Decides whether a folder may be used as DB/: only if it is empty or this program made it.

The program puts a marker file into the folder. Versions before the marker are
known by their layout, and get one. Any other folder is refused and not touched.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import stat
from pathlib import Path

from mandel.errors import StoreError
from mandel.payload.job_id import is_job_id
from mandel.store import durable
from mandel.store.names import Names

_log = logging.getLogger("mandel")

_SAYS = "This folder belongs to the Mandelbrot zoom service"
_MARK = f"""{_SAYS} (ray_head.py --db), which makes, moves and deletes files in it.
Its videos are jobs/*/*/video.mp4. What it found here and does not know is in lost/.
"""
_NOTHING = {".gitkeep", "lost+found"}  # a folder with only these counts as empty
_OWNER = re.compile(rb"[0-9]{0,10}\s*")
_INDEX_MAGIC = b"SQLite format 3\0"


def claim(names: Names) -> None:
    """Makes ``names.root`` this program's folder, unless it belongs to something else; then changes nothing.

    Raises:
        StoreError: DB_NOT_OURS.
        OSError: the folder cannot be read or written.
    """
    root = names.root
    if not root.is_dir():
        durable.make_folder(root.parent, 0o777)
        root.mkdir(0o700, exist_ok=True)
        durable.sync_folder(root.parent)
    if os.geteuid() not in (0, owner := root.stat().st_uid):
        raise _foreign(root, f"it belongs to another user ({owner}), who could change what is in it")
    with os.scandir(root) as entries:
        there = {entry.name: entry for entry in entries}
    for folder in (names.jobs, names.tmp, names.cache, names.lost):
        if folder.name in there and not there[folder.name].is_dir(follow_symlinks=False):
            raise _foreign(
                root,
                f"{folder.name} in it is {_kind(folder)} instead of a folder of its own; "
                "(DB/ itself may be a link to another disk, not what is in it)",
            )
    for file in (names.lock, names.index):
        if file.name in there and not there[file.name].is_file(follow_symlinks=False):
            raise _foreign(root, f"{file.name} in it is {_kind(file)} instead of a file")
    if names.marker.name in there:
        _check_marker(names)
    elif not set(there) - _NOTHING or _is_older(names, there):
        if set(there) - _NOTHING:
            _log.info("%s is a DB/ of an older version: marked by %s", root, names.marker.name)
        _mark(names)
    else:
        some = ", ".join(sorted(set(there) - _NOTHING)[:3])
        raise _foreign(root, f"it holds other things ({some}, ...) and no {names.marker.name}")
    _close_to_others(root)


def lock(names: Names) -> int:
    """Opens the file ``lock``, or makes it; never follows a link. Returns its descriptor. Raises OSError."""
    fd = os.open(names.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def take_lock(names: Names, files: tuple[int, ...]) -> None:
    """Locks the descriptors ``files``, of which the first is ``lock``, and writes our pid into that one.

    Raises:
        StoreError: DB_LOCKED.
    """
    try:
        for fd in files:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(files[0], 20, 0).decode(errors="replace").strip() or "unknown"
        raise StoreError(
            "DB_LOCKED",
            f"{names.root} is in use by another server (process {owner}); "
            "stop that one or choose another folder with --db",
        ) from None
    try:
        os.ftruncate(files[0], 0)
        os.pwrite(files[0], f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass  # a full disk: a second service then cannot name the first one's pid


def _foreign(root: Path, why: str) -> StoreError:
    return StoreError(
        "DB_NOT_OURS",
        f"{root} is not a folder of this service, and nothing in it was touched: {why}. Name an empty or a new "
        f"folder with --db. If it is a DB/ of this service after all, say so by "
        f"`touch {root}/{Names(root).marker.name}`",
    )


def _kind(path: Path) -> str:
    return "a link" if path.is_symlink() else "something else"


def _check_marker(names: Names) -> None:
    """Checks the marker's text. An empty one is fine: a person made it, or a crash lost its text."""
    try:
        with os.fdopen(os.open(names.marker, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            regular, text = stat.S_ISREG(os.fstat(file.fileno()).st_mode), file.read(len(_SAYS))
    except OSError:
        regular, text = False, b""
    if not regular or text not in (b"", _SAYS.encode()):
        raise _foreign(names.root, f"{names.marker.name} is not the file that this service writes")


def _mark(names: Names) -> None:
    try:
        fd = os.open(names.marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return  # another service starts at this moment; the lock decides
    with os.fdopen(fd, "w") as file:
        file.write(_MARK)
        file.flush()
        os.fsync(fd)
    durable.sync_folder(names.root)


def _is_older(names: Names, there: dict[str, os.DirEntry[str]]) -> bool:
    """Whether an older version made this folder: it has a lock file, jobs, tmp, and an index or a job."""
    if not {names.lock.name, names.jobs.name, names.tmp.name} <= set(there):
        return False
    try:
        owner = names.lock.read_bytes() if there[names.lock.name].stat().st_size < 32 else b"no process"
        if not _OWNER.fullmatch(owner):
            return False
        index = there.get(names.index.name)
        if index is not None and index.is_file(follow_symlinks=False):
            with open(names.index, "rb") as file:
                if file.read(len(_INDEX_MAGIC)) == _INDEX_MAGIC:
                    return True
        return any(_is_job(path) for path in names.jobs.glob("*/*"))
    except OSError:
        return False


def _is_job(folder: Path) -> bool:
    return (
        is_job_id(folder.name)
        and folder.parent.name == folder.name[:2]
        and durable.is_folder(folder)
        and (folder / "payload.json").is_file()
    )


def _close_to_others(root: Path) -> None:
    try:
        if stat.S_IMODE(root.stat().st_mode) != 0o700:
            root.chmod(0o700)
    except OSError as error:
        _log.warning("%s stays open to other users: %s", root, error.strerror)

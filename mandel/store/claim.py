"""Decides whether a folder may be used as DB/: only if it is empty or this program made it.

The program puts a marker file into the folder. Versions before the marker are
known by their layout, and get one. Any other folder is refused and not touched.

In its own folder, what has the name of one of its files or folders but is of
another kind goes to lost/, and is made anew. Only a link is left to people: they
made it, and what they need may be where it points to.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import stat
from pathlib import Path

from mandel import plain_file
from mandel.errors import StoreError
from mandel.payload.job_id import is_job_id
from mandel.store import durable
from mandel.store.lost import Lost
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
    for path in (names.jobs, names.tmp, names.cache, names.lost, names.lock, names.index):
        if path.is_symlink():
            raise _foreign(
                root,
                f"{path.name} in it is a link",
                f"Put what it points to in its place, or move the link away. ({root} itself may be a link to "
                "another disk, not what is in it)",
            )
    if _is_file(names.marker) or names.marker.is_symlink():
        _check_marker(names)
    elif not set(there) - _NOTHING or _is_older(names, there):
        if names.marker.name not in there:
            if set(there) - _NOTHING:
                _log.info("%s is a DB/ of an older version: marked by %s", root, names.marker.name)
            _mark(names)
    elif names.marker.name in there:
        raise _foreign(
            root, f"{names.marker.name} in it is no file", f"Move it away. {_say_so(names.marker)}"
        )
    else:
        some = ", ".join(sorted(set(there) - _NOTHING)[:3])
        raise _foreign(root, f"it holds other things ({some}, ...) and no {names.marker.name}")
    _close_to_others(root)


def take(names: Names, lost: Lost) -> tuple[int, ...]:
    """Locks the folder, puts aside what is in its way, and writes our pid into the file ``lock``.

    Returns:
        Descriptors that hold the lock. That of the folder holds even if somebody removes the file.

    Raises:
        StoreError: DB_LOCKED.
        OSError: the folder cannot be read or written.
    """
    fds = [os.open(names.root, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        _lock(names, fds[0])
        _put_aside(names, lost)
        fds.append(plain_file.descriptor(names.lock, os.O_RDWR | os.O_CREAT))
        _lock(names, fds[1])
        os.fchmod(fds[1], 0o600)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    try:
        os.ftruncate(fds[1], 0)
        os.pwrite(fds[1], f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass  # a full disk: a second service then cannot name the first one's pid
    return tuple(fds)


def _lock(names: Names, fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        try:
            owner = plain_file.content(names.lock, 20).decode(errors="replace").strip() or "unknown"
        except OSError:
            owner = "unknown"
        raise StoreError(
            "DB_LOCKED",
            f"{names.root} is in use by another server (process {owner}); "
            "stop that one or choose another folder with --db",
        ) from None


def _put_aside(names: Names, lost: Lost) -> None:
    """Puts aside what has the name of a file or folder of ours and is none; opens to us what is closed to us."""
    for folder in (names.lost, names.jobs, names.tmp, names.cache):
        if durable.is_folder(folder):
            folder.chmod(0o700)
        elif os.path.lexists(folder):
            lost.put(folder, "is no folder")
    for file in (names.lock, names.marker, *names.index_files, *names.renderer_logs):
        if _is_file(file):
            file.chmod(0o600)
        elif os.path.lexists(file):
            lost.put(file, "is no file")
    _mark(names)


def _foreign(root: Path, why: str, advice: str = "") -> StoreError:
    return StoreError(
        "DB_NOT_OURS",
        f"{root} is not a folder of this service, and nothing in it was touched: {why}. "
        f"{advice or _say_so(Names(root).marker)} Or name an empty or a new folder with --db",
    )


def _say_so(marker: Path) -> str:
    return f"If it is a DB/ of this service after all, say so by `touch {marker}`."


def _is_file(path: Path) -> bool:
    """Whether ``path`` is a regular file itself, not a link to one."""
    return path.is_file() and not path.is_symlink()


def _check_marker(names: Names) -> None:
    """Checks the marker's text. An empty one is fine: a person made it, or a crash lost its text."""
    try:
        with plain_file.reader(names.marker) as file:
            text = file.read(len(_SAYS))
    except OSError:
        text = b"no text"
    if text not in (b"", _SAYS.encode()):
        raise _foreign(names.root, f"{names.marker.name} is not the file that this service writes")


def _mark(names: Names) -> None:
    """Writes the marker, unless there is one."""
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
        if not _OWNER.fullmatch(plain_file.content(names.lock, 32)):
            return False
        if _is_file(names.index):
            with plain_file.reader(names.index) as file:
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

"""Files that hold a secret: read only where no other user can read, or has written, them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from mandel.errors import MandelError

_LONGEST = 4_096  # bytes


def make(path: Path, end: str = "") -> bool:
    """Makes ``path`` with a new secret of 64 hexadecimal digits and ``end``; False when it is there.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + end)
    return True


def read(path: Path) -> tuple[str, str]:
    """The secret in ``path``, without blanks around it, and a word on what was wrong with the file.

    Our own file that others may use is taken from them (mode 0600), and the word says so; it is empty
    otherwise. A file of root counts as safe if only a group may read it, as containers are given secrets.

    Raises:
        MandelError: BAD_FILE: no regular file, no text, too long, of another user, or in others' reach.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for
    with os.fdopen(descriptor, "rb") as file:
        facts, word = os.fstat(descriptor), ""
        mode = stat.S_IMODE(facts.st_mode)
        if not stat.S_ISREG(facts.st_mode):
            raise MandelError("BAD_FILE", f"{path} is no regular file")
        if facts.st_uid == os.geteuid():
            if mode & 0o077:
                os.fchmod(descriptor, 0o600)
                word = (
                    f"other users could use the token in {path} (mode {mode:04o}); its mode is 0600 now. If there "
                    "are such users, replace the token: remove the file, start anew, copy it to the clients again"
                )
        elif facts.st_uid != 0 or mode & 0o027:
            raise MandelError(
                "BAD_FILE",
                f"{path} belongs to another user, or others may use it; copy it to a file "
                "of your own with mode 0600",
            )
        data = file.read(_LONGEST + 1)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MandelError("BAD_FILE", f"{path} holds no text") from None
    if len(data) > _LONGEST:
        raise MandelError("BAD_FILE", f"{path} is too long for a token")
    return text.strip(), word

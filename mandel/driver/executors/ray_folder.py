"""Chooses the session folder of a Ray that the service starts: not in /tmp, where cleaners would remove it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

# A socket's path has at most 107 bytes. Ray's part, below the folder, takes 69 (a session, "/sockets/plasma_store.NN").
LONGEST = 107 - 69
_SESSION = re.compile(r"session_[0-9-]+_[0-9-]+_[0-9]+_([0-9]+)")
# Ended sessions that stay, for their logs.
_KEPT = 2


def choose() -> tuple[Path | None, str]:
    """The folder for sessions, made and cleared of old ones; or None for Ray's own choice, and the reason in words."""
    if os.environ.get("RAY_TMPDIR"):
        return None, ""  # as the user says
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mandel" / "ray"
    if len(os.fsencode(folder)) > LONGEST:
        return None, (
            f"Ray's session lies under /tmp/ray, as {folder} is too long for its sockets; see that no "
            "cleaner of /tmp removes it, or set RAY_TMPDIR to a short path"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or folder.is_symlink():
            raise PermissionError(1, "it is not this user's")
        folder.chmod(0o700)
        _clear(folder)
    except OSError as error:
        return None, (
            f"Ray's session lies under /tmp/ray, as {folder} cannot be used ({error.strerror}); see that no "
            "cleaner of /tmp removes it, or set RAY_TMPDIR to a short path"
        )
    return folder, ""


def _clear(folder: Path) -> None:
    """Removes the sessions of ended processes, except the last ones: Ray never removes any."""
    ended = []
    for path in folder.iterdir():
        found = _SESSION.fullmatch(path.name)
        if found and not path.is_symlink() and not Path("/proc", found[1]).exists():
            ended.append(path)
    for path in sorted(ended)[: -_KEPT or None]:
        shutil.rmtree(path, ignore_errors=True)


def missing(session: str, sockets: Iterable[str]) -> str | None:
    """A path that a running Ray needs and that is gone: session, logs or a socket; None if all exist."""
    wanted = [session, os.path.join(session, "logs"), *sockets]
    return next((path for path in wanted if path and not os.path.exists(path)), None)

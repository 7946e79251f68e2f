"""Places where a test can stop the program dead, or fill its disk.

``MANDEL_FAILPOINT=segment.rename.before:kill`` ends the process by SIGKILL
just before a segment is renamed; ``…:enospc`` raises "no space left" there.
A third part picks the n-th time it is reached, counted from 1.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_place, _, _rest = os.environ.get("MANDEL_FAILPOINT", "").partition(":")
_action, _, _nth = _rest.partition(":")
_reached = 0


def _reach(place: str) -> None:
    global _reached  # noqa: PLW0603 - a process reaches each place once
    if place != _place:
        return
    _reached += 1
    if _reached != int(_nth or 1):
        return
    if _action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def failpoint(name: str) -> Iterator[None]:
    """Brackets one step on disk: ``name.before`` and ``name.after``."""
    _reach(name + ".before")
    yield
    _reach(name + ".after")

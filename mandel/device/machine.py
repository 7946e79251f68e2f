"""The memory and the cores of this machine, or of the container in which the program runs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def memory_bytes() -> int:
    """Bytes of memory in all, not those free now: decisions that rest on it are the same every time."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _LIMITS:
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            pass
    return min(found)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))

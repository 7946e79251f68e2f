"""An ffmpeg that fails when it is told to, in place of the real one."""

from __future__ import annotations

import uuid
from pathlib import Path

import imageio_ffmpeg

_SCRIPT = """#!/bin/sh
# Each order is a shell script that one run takes; without one it is the real ffmpeg.
for order in {orders}/*; do
    mv "$order" {taken}/$$ 2>/dev/null && . {taken}/$$ && break
done
exec {real} "$@"
"""

# The real one, killed after some seconds or while it still waits for its input.
KILLED = "(sleep {seconds}; kill -9 $$) </dev/null >/dev/null 2>&1 &\nsleep {seconds}"
# It says a lot, as one that is broken does, and ends.
FLOODS = "head -c 30000000 /dev/zero | tr '\\0' x >&2; exit 1"
# It ends well and has encoded nothing.
LIES = "cat >/dev/null; exit 0"


class Encoders:
    """Orders for the next runs of ``executable``, which IMAGEIO_FFMPEG_EXE names."""

    def __init__(self, folder: Path):
        self._orders, self._taken = folder / "orders", folder / "taken"
        self._orders.mkdir()
        self._taken.mkdir()
        self.executable = folder / "ffmpeg"
        real = imageio_ffmpeg.get_ffmpeg_exe()
        self.executable.write_text(_SCRIPT.format(orders=self._orders, taken=self._taken, real=real))
        self.executable.chmod(0o755)

    def order(self, script: str, **values) -> None:
        """One of the next runs does this."""
        new = self._taken / uuid.uuid4().hex
        new.write_text(script.format(**values) + "\n")
        new.rename(self._orders / new.name)

    def withdraw(self) -> None:
        """No run does any of what was ordered and not yet done."""
        for order in self._orders.iterdir():
            order.unlink(missing_ok=True)

    @property
    def waiting(self) -> int:
        """Orders that no run has taken yet."""
        return len(list(self._orders.iterdir()))

"""Formats text for people: commands to type, numbers, and text of the service without control characters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeGuard

_SCRIPTS = {"client": "client.py", "head": "ray_head.py"}


def typed(command: str) -> str:
    """The command line for ``command``: ``mandel ...`` if that is installed and runs now, else as in a checkout."""
    if Path(sys.argv[0]).name == "mandel":
        return f"mandel {command}"
    return f"python {_SCRIPTS[command]}" if command in _SCRIPTS else f"python -m mandel {command}"


def printable(value: object, max_length: int = 400) -> str:
    """Text of the service without characters that control a terminal, cut to ``max_length``."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= max_length else text[:max_length] + "..."


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def duration(seconds: float) -> str:
    """Seconds as text for people: 42 s, 3:05, 2:03:05, 3 d 04 h."""
    whole = max(0, round(min(seconds, 1e10)))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02d} h"
    if hours:
        return f"{hours}:{m:02d}:{s:02d}"
    return f"{m}:{s:02d}" if m else f"{s} s"


def size(count: float, of: float | None = None) -> str:
    """``count`` bytes in kB, MB or GB: the unit that suits ``of`` if that is given, else ``count``."""
    suits = count if of is None else of
    if suits >= 1e10:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if suits >= 1e6 else f"{count / 1e3:.1f} kB"

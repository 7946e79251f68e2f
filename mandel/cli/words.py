"""What the service says, in words and tables for people."""

from __future__ import annotations

import json
import time


def plain(value, most: int = 400) -> str:
    """Text of the other side without anything that a terminal would obey."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= most else text[:most] + "..."


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3:05, 2:03:05, 3 d 04 h."""
    whole = max(0, round(min(seconds, 1e10)))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02d} h"
    if hours:
        return f"{hours}:{m:02d}:{s:02d}"
    return f"{m}:{s:02d}" if m else f"{s} s"


def _cell(name: str, value) -> str:
    if value is None:
        return "-"
    if name == "asked" and is_number(value) and 0 <= value < 1e11:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return plain(value if isinstance(value, str) else json.dumps(value))


def table(result: dict) -> str:
    """A result as text: a line for each job, or for each fact."""
    jobs = result.get("jobs")
    if not isinstance(jobs, list):
        return "\n".join(f"{plain(name)}: {_cell(name, value)}" for name, value in result.items())
    rows = [row for row in jobs if isinstance(row, dict)]
    if not rows:
        return "no jobs"
    names = list(dict.fromkeys(name for row in rows for name in row if row[name] is not None))
    lines = [[plain(name) for name in names]]
    lines += [[_cell(name, row.get(name)) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines)

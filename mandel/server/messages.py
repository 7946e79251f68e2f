"""What a driver may say, checked whole before any of it is carried out (docs/design.md has the messages)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

ENDS = ("video", "failed", "cancelled")  # after one of these a driver says nothing more of a job

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _is_text(value) -> bool:
    return isinstance(value, str)


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value) -> bool:
    return _is_whole(value) and value >= 0


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_digest(value) -> bool:
    return _is_text(value) and _DIGEST.fullmatch(value) is not None


def _list_of(check: Callable) -> Callable:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_object(value) -> bool:
    return isinstance(value, dict)


# By event: what it must say, and what it may say (or leave null).
_EVENTS: dict[str, tuple[dict[str, Callable], dict[str, Callable]]] = {
    "alive": ({}, {}),
    "log": ({"level": _is_text, "message": _is_text}, {}),
    "ready": ({"nodes": _list_of(_is_object)}, {"address": _is_text, "dashboard": _is_text}),
    "cluster": ({"nodes": _list_of(_is_object)}, {"slots": _is_object, "tasks": _is_count}),
    "unavailable": ({"code": _is_text, "message": _is_text}, {}),
    "frame": ({"job": _is_text, "frame": _is_count}, {"node": _is_text, "host": _is_text, "attempt": _is_count}),
    "kept": ({"job": _is_text, "frame": _is_count}, {}),
    "stage": ({"job": _is_text, "stage": _is_text, "done": _is_number, "total": _is_number}, {}),
    "segment": ({"job": _is_text, "index": _is_count, "path": _is_text, "frames": _is_count, "sha256": _is_digest}, {}),
    "spoilt": ({"job": _is_text, "index": _is_count}, {}),
    "strip": ({"job": _is_text, "strip": _is_whole},
              {"found": lambda value: isinstance(value, bool), "path": _is_text, "base": _is_whole,
               "bytes": _is_count, "sha256": _is_digest, "error": _is_text}),
    "unneeded": ({"job": _is_text, "strips": _list_of(_is_whole)}, {}),
    "video": ({"job": _is_text, "path": _is_text, "frames": _is_count, "sha256": _is_digest}, {"poster": _is_text}),
    "failed": ({"job": _is_text, "code": _is_text, "message": _is_text}, {"frame": _is_count}),
    "cancelled": ({"job": _is_text}, {}),
}


def check(message: dict, folder: Path | None) -> None:
    """Raises ValueError, in words, unless ``message`` is one that a driver may say.

    Args:
        folder: the tmp folder of the message's job: files that it names lie right in it, and are no links.
    """
    event = message.get("event")
    if not _is_text(event) or event not in _EVENTS:
        raise ValueError(f"{str(event)[:40]!r} is no event of a driver")
    must, may = _EVENTS[event]
    for field, is_right in must.items():
        if not is_right(message.get(field)):
            raise ValueError(f"{field} of the event {event} is missing or wrong")
    for field, is_right in may.items():
        if message.get(field) is not None and not is_right(message[field]):
            raise ValueError(f"{field} of the event {event} is wrong")
    if event == "strip" and message.get("path") and not (
        _is_whole(message.get("base")) and _is_digest(message.get("sha256"))
    ):
        raise ValueError("a strip's file comes without its level or its digest")
    for field in ("path", "poster"):
        if message.get(field) is not None and not is_inside(folder, message[field]):
            raise ValueError(f"{field} of the event {event} does not lie in the job's folder")


def is_inside(folder: Path | None, path: str) -> bool:
    """Whether ``path`` names something right in ``folder``, and is no link to anywhere else."""
    found = Path(path)
    return (folder is not None and "\0" not in path and found.name not in ("", ".", "..")
            and found.parent == folder and not found.is_symlink())

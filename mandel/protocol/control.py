"""What the driver may say (docs/design.md): each message is checked whole before anything is done about it.

The driver unpickles what workers return, so what it says is not taken on trust: above all no
text of it becomes a path, but a name of a file in the folder that it was given for a job.
What is wrong costs the job that it is about an attempt; if it is about none, the driver is replaced.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path

from mandel.errors import RenderError

LARGE = 2**62
_LONGEST_MESSAGE = 1 << 20  # characters; a compiler says much
_MOST = 100_000  # of what is listed
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_ID = re.compile(r"[0-9a-f]{64}")
_FILES = ("path", "poster")
ENDS = ("video", "failed", "cancelled")  # after one of these a driver says nothing more of a job

Check = Callable[[object], bool]


def _text(most: int = 400) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= most


def _whole(low: int = 0) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= LARGE


def _matches(pattern: re.Pattern) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGE


def _flag(value) -> bool:
    return isinstance(value, bool)


def _counts(value) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= _MOST
        and all(_text()(name) and _number(count) for name, count in value.items())
    )


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= _MOST and all(map(check, value))


class _May:
    """A field that may be missing or null."""

    def __init__(self, check: Check):
        self._check = check

    def __call__(self, value) -> bool:
        return value is None or self._check(value)


def _fields(row: dict[str, Check]) -> Check:
    return lambda value: isinstance(value, dict) and _wrong(value, row) is None


def _only(row: dict[str, Check]) -> Check:
    """These fields, and no others: what is kept and told as it is."""
    return lambda value: isinstance(value, dict) and value.keys() <= row.keys() and _wrong(value, row) is None


def _share(value) -> bool:
    return _number(value) and value <= 1


def _pair(value) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_text(40), value))


_JOB = {"job": _matches(_ID)}
# What mandel/notes.py takes, and NOTES: what it gives.
_LIMIT = {"maxiter": _whole(), "auto": _flag}
_RUN = {"frames": _whole(1), "first": _whole(), "last": _whole()}
_FOUND = _only(
    {
        "flat": _flag,
        "auto": _flag,
        "reached": _May(_share),
        "late": _May(_share),
        "maxiter": _May(_whole()),
        "delta": _May(_text(40)),
        "decimals": _May(_whole()),
    }
)
NOTES = _only(
    {
        "reached": _May(_only({"frame": _whole(), "share": _share, "maxiter": _whole()})),
        "short": _May(_only({**_RUN, **_LIMIT, "frame": _whole(), "share": _share, "missing": _share})),
        "flat": _May(
            _only(
                {
                    **_RUN,
                    "deltas": _pair,
                    "inside": _whole(),
                    "maxiter": _May(_whole()),
                    "auto": _flag,
                    "decimals": _whole(),
                }
            )
        ),
        "gave_up": _May(
            _only({"views": _whole(1), "delta": _text(40), "maxiter": _whole(), "reason": _text(1000)})
        ),
    }
)
_WORK = {
    "seconds": _May(_number),
    "cpu_seconds": _May(_number),
    "node": _May(_text()),
    "host": _May(_text()),
    "device": _May(_text()),
}
_WRITTEN = {"bytes": _whole(), "sha256": _matches(_ID)}
_NODES = _list_of(
    _fields(
        {
            "id": _text(),
            "host": _May(_text()),
            "address": _May(_text()),
            "alive": _May(_flag),
            "resources": _May(_counts),
        }
    )
)
# The fields of each event; those that are not here are passed over.
TABLE: dict[str, dict[str, Check]] = {
    "alive": {},
    "log": {"level": _text(20), "message": _text(_LONGEST_MESSAGE)},
    "ready": {"address": _text(), "dashboard": _May(_text()), "joined": _May(_flag), "nodes": _NODES},
    "cluster": {"nodes": _NODES, "slots": _May(_counts), "tasks": _May(_whole()), "store": _May(_whole())},
    "unavailable": {"code": _matches(_CODE), "message": _text(_LONGEST_MESSAGE)},
    "frame": {**_JOB, **_WORK, "frame": _whole(), "attempt": _May(_whole(1)), "found": _May(_FOUND)},
    "kept": {**_JOB, "frame": _whole(), "found": _May(_FOUND)},
    "limit": {**_JOB, "notes": NOTES},
    "stage": {**_JOB, "stage": _text(40), "done": _whole(), "total": _whole()},
    "segment": {
        **_JOB,
        **_WORK,
        **_WRITTEN,
        "index": _whole(),
        "first": _May(_whole()),
        "frames": _whole(1),
        "path": _text(4096),
        "notes": _May(NOTES),
    },
    "spoilt": {**_JOB, "index": _whole()},
    "strip": {
        **_JOB,
        "strip": _whole(-LARGE),
        "found": _flag,
        "error": _May(_text(_LONGEST_MESSAGE)),
        "path": _May(_text(4096)),
        "base": _May(_whole(-LARGE)),
        **{name: _May(check) for name, check in _WRITTEN.items()},
    },
    "unneeded": {**_JOB, "strips": _list_of(_whole(-LARGE))},
    "video": {**_JOB, **_WRITTEN, "frames": _whole(1), "path": _text(4096), "poster": _May(_text(4096))},
    "failed": {**_JOB, "code": _matches(_CODE), "message": _text(_LONGEST_MESSAGE), "frame": _May(_whole())},
    "cancelled": _JOB,
}


def _wrong(value: dict, row: dict[str, Check]) -> str | None:
    """The first field that is missing or not what it must be."""
    for name, check in row.items():
        if (name not in value and not isinstance(check, _May)) or not check(value.get(name)):
            return name
    return None


def checked(message: dict) -> dict:
    """A message with the fields of its event only, all of them right; those that are null are left out.

    Raises:
        RenderError: BAD_MESSAGE.
    """
    event = message.get("event")
    if not isinstance(event, str) or event not in TABLE:
        raise RenderError("BAD_MESSAGE", f"there is no event {str(event)[:40]!r}")
    if (name := _wrong(message, TABLE[event])) is not None:
        raise RenderError(
            "BAD_MESSAGE", f"{event}: {name} cannot be {str(message.get(name))[:100]!r}", field=name
        )
    if (
        event == "strip"
        and message.get("path") is not None
        and (lacking := [name for name in ("base", "bytes", "sha256") if message.get(name) is None])
    ):
        raise RenderError("BAD_MESSAGE", f"strip: a file without {lacking[0]}", field=lacking[0])
    return {"event": event} | {name: message[name] for name in TABLE[event] if message.get(name) is not None}


def of_job(message: dict, frames: int, folder: Path) -> dict:
    """A checked message about a job, whose files it names as Paths.

    Args:
        frames: how many the job has.
        folder: where the driver may write for it; no links lead to it.

    Raises:
        RenderError: BAD_MESSAGE: a frame or segment that the job cannot have, or a file that is no
            regular one of that folder.
    """
    for name, most in (
        ("frame", frames - 1),
        ("index", frames - 1),
        ("first", frames - 1),
        ("frames", frames),
    ):
        if message.get(name, 0) > most:
            raise RenderError(
                "BAD_MESSAGE", f"{message['event']}: {name} is {message[name]}, of {frames} frames"
            )
    return message | {name: _file(message[name], folder) for name in _FILES if name in message}


def _file(text: str, folder: Path) -> Path:
    """The file that is meant: ``folder`` and a name; one that is not there (any more) is no fault."""
    name = text.rpartition("/")[2]
    path = folder / name
    try:
        if name in ("", ".", "..") or "\0" in text or text != str(path) or folder.resolve() != folder:
            raise RenderError("BAD_MESSAGE", f"{text[:200]!r} is no file of {folder}")
        facts = path.lstat()
    except FileNotFoundError:
        return path
    except OSError as error:
        raise RenderError("BAD_MESSAGE", f"{text[:200]!r}: {error.strerror}") from error
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        raise RenderError("BAD_MESSAGE", f"{text[:200]!r} is no regular file of its own")
    return path

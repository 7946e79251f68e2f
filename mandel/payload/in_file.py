"""The payload inside a finished file: a film's comment, a picture's text. The standard library alone.

Its text begins with a mark that nothing else has. So one search finds it in mp4, mov, mkv and png alike, whatever
wrote the file's index.
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path

from mandel.errors import RequestError
from mandel.payload.fields import JsonObject

MARK = "mandel payload: "
# A payload is shorter than a request may be.
_LONGEST = 1 << 17


def may_carry(begin: bytes) -> bool:
    """Whether a file that begins with these bytes is an mp4, mov, mkv or png."""
    return begin.startswith((b"\x1aE\xdf\xa3", b"\x89PNG\r\n")) or begin[4:8] == b"ftyp"


def text(payload: JsonObject) -> str:
    """What a file carries: the mark, and the payload as JSON."""
    return MARK + json.dumps(payload, separators=(",", ":"))


def tags(payload: JsonObject, date: str) -> dict[str, str]:
    """The tags of a film or picture: its title, its date (year-month-day) and its payload."""
    title = f"Mandelbrot zoom to {payload['end_delta']} at {_shortened(payload['point'])}"
    return {"title": title, "date": date, "comment": text(payload)}


def _shortened(point: str) -> str:
    return ", ".join(part if len(part) <= 24 else part[:21] + "..." for part in point.split(","))


def inside(data: bytes | mmap.mmap) -> bytes | None:
    """The JSON text of the payload that a file of these bytes carries; None: it carries none."""
    at = data.find(MARK.encode() + b"{")
    found = b"" if at < 0 else data[at + len(MARK) : at + _LONGEST]
    try:
        _, end = json.JSONDecoder().raw_decode(found.decode("ascii", "replace"))
    except (ValueError, RecursionError):
        return None
    return found[:end]


def without_payload(name: str) -> RequestError:
    """What is said of a film or picture that carries none."""
    return RequestError(
        "BAD_FILE", f"{name} carries no payload: only films, posters and stills of this program do"
    )


def read(path: Path) -> bytes:
    """The JSON text of the payload that a file carries.

    Raises:
        RequestError: BAD_FILE.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = inside(data)
    except (OSError, ValueError) as error:  # ValueError: an empty file
        why = error.strerror if isinstance(error, OSError) else "it is empty"
        raise RequestError("BAD_FILE", f"{path}: {why}") from None
    if found is None:
        raise without_payload(str(path))
    return found

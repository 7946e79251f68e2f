"""Writes one reply: a MIME message of parts, as bytes for the caller to send.

``multipart/form-data``, because every parser at hand reads it: Python's email,
multipart and werkzeug, and a browser's ``Response.formData()``. The random
boundary has 128 bits, so that it is in no video; readers of ours go by
Content-Length and never look for it in a body.
"""

from __future__ import annotations

import json
import re
from enum import Enum

from mandel.errors import MandelError
from mandel.payload.fields import JsonObject

PROGRESS = "progress"
RESULT = "result"
ERROR = "error"
VIDEO = "video"

JSON_TYPE = "application/json"
# By the ending of the name that is offered.
VIDEO_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska"}
DIGEST = "Content-SHA256"

_FILENAME = re.compile(r"[A-Za-z0-9._-]+")


class State(Enum):
    """How far a reply has come."""

    START = "start"
    PROGRESS = "progress"
    LAST = "last part"
    END = "end"


# Which parts may come in which state, and the state after them. None is the end.
ORDER: dict[State, dict[str | None, State]] = {
    State.START: {PROGRESS: State.PROGRESS, RESULT: State.LAST, ERROR: State.LAST, VIDEO: State.LAST},
    State.PROGRESS: {PROGRESS: State.PROGRESS, ERROR: State.LAST, VIDEO: State.LAST},
    State.LAST: {None: State.END},
    State.END: {},
}


class ReplyWriter:
    """The parts of one reply in their order; each method returns bytes to send.

    The first call's bytes begin with the head of the message. Parts out of
    order are a mistake of the caller: ValueError.
    """

    def __init__(self, boundary: str | None = None):
        import secrets  # readers of replies start sooner without

        self.boundary = boundary or "mandel-" + secrets.token_hex(16)
        self.state = State.START
        self._head_lines = 0

    @property
    def content_type(self) -> str:
        """The message's Content-Type, boundary included."""
        return f"multipart/form-data; boundary={self.boundary}"

    def waiting(self) -> bytes:
        """A line more of the message's head, before the first part: who has gone refuses it."""
        if self.state is not State.START:
            raise ValueError("the head of the message has ended")
        self._head_lines += 1
        return self._begin() if self._head_lines == 1 else f"X-Waiting-{self._head_lines}: yes\r\n".encode()

    def progress(self, fields: JsonObject) -> bytes:
        """A ``progress`` part; the first of a reply says that the job is accepted."""
        return self._json(PROGRESS, fields)

    def result(self, fields: JsonObject) -> bytes:
        """The ``result`` part of status, list or cancel, and the end of the reply."""
        return self._json(RESULT, fields) + self.end()

    def result_of(self, body: bytes) -> bytes:
        """The same, of JSON that is encoded already."""
        return self._part(RESULT, body) + self.end()

    def error(self, error: MandelError) -> bytes:
        """The ``error`` part and the end of the reply."""
        return self._json(ERROR, error.as_dict()) + self.end()

    def video_head(self, size: int, sha256: str, filename: str = "video.mp4") -> bytes:
        """Head of the ``video`` part; the caller sends ``size`` bytes, then ``end()``.

        Args:
            size: bytes of the video.
            sha256: its SHA-256 in hex.
            filename: a name to offer, of letters, digits, ``.``, ``_`` and ``-``; its ending is a
                key of VIDEO_TYPES.
        """
        if not _FILENAME.fullmatch(filename):
            raise ValueError(f"{filename!r} does not fit into a header")
        kind = VIDEO_TYPES[filename.rpartition(".")[2]]
        return self._open(VIDEO, filename, kind, size, f"{DIGEST}: {sha256}\r\n")

    def end(self) -> bytes:
        """What follows the last part's body."""
        self._advance(None)
        return f"\r\n--{self.boundary}--\r\n".encode()

    def _json(self, name: str, fields: JsonObject) -> bytes:
        return self._part(name, json.dumps(fields, allow_nan=False).encode())

    def _part(self, name: str, body: bytes) -> bytes:
        return self._open(name, f"{name}.json", JSON_TYPE, len(body)) + body

    def _open(self, name: str, filename: str, content_type: str, size: int, extra: str = "") -> bytes:
        begun = self._begin() if self.state is State.START and not self._head_lines else b""
        self._advance(name)
        return (
            begun
            + (
                f"\r\n--{self.boundary}\r\n"
                f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                f"Content-Type: {content_type}\r\n"
                f"Content-Length: {size}\r\n"
                "Content-Transfer-Encoding: binary\r\n"
                f"{extra}\r\n"
            ).encode()
        )

    def _begin(self) -> bytes:
        """The head of the message, but for the empty line that ends it."""
        return f"MIME-Version: 1.0\r\nContent-Type: {self.content_type}\r\n".encode()

    def _advance(self, part: str | None) -> None:
        following = ORDER[self.state].get(part)
        if following is None:
            raise ValueError(f"{part or 'the end'} cannot follow in a reply at its {self.state.value}")
        self.state = following

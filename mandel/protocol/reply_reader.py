"""Reads one reply, by Content-Length: bytes in, parts out, memory bounded.

Built for a hostile peer. Every length is bounded before it is believed, no
body is searched for boundaries, the order of parts is checked, the video's
length and SHA-256 are verified on the way, and a name that the peer sends is
never handed out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from mandel.errors import RequestError, TransferError
from mandel.payload.fields import JsonObject
from mandel.protocol import reply, strict_json
from mandel.protocol.request import NEED_MORE, Event

MAX_HEAD = 8_192
MAX_JSON = 16 * 2**20
MAX_VIDEO = 2**40
# One progress part a second for eleven days; then a client can attach again.
MAX_PARTS = 999_999

_MESSAGE_TYPE = re.compile(
    r"multipart/form-data; *boundary=(\"?)([0-9A-Za-z'()+_,./:=?-]{1,70})\1", re.IGNORECASE
)
_DISPOSITION = re.compile(r'form-data; name="([a-z]{1,20})"(?:; filename="[^"\r\n]*")?')
_LENGTH = re.compile(r"[0-9]{1,19}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTAINERS = {kind: container for container, kind in reply.VIDEO_TYPES.items()}
_TYPES = {
    reply.PROGRESS: {reply.JSON_TYPE},
    reply.RESULT: {reply.JSON_TYPE},
    reply.ERROR: {reply.JSON_TYPE},
    reply.VIDEO: {*_CONTAINERS},
}


@dataclass(frozen=True)
class JsonPart:
    """A whole ``progress``, ``result`` or ``error`` part; numbers as int or float."""

    name: str
    fields: JsonObject


@dataclass(frozen=True)
class VideoHead:
    """A video of ``size`` bytes follows; ``container`` is a key of ``reply.VIDEO_TYPES``."""

    size: int
    sha256: str
    container: str = "mp4"


@dataclass(frozen=True)
class VideoData:
    """The next bytes of the video; not yet proven, see ``ReplyEnd``."""

    data: bytes


@dataclass(frozen=True)
class ReplyEnd:
    """The reply was whole; if it held a video, its length and digest are right."""


ReplyEvent = JsonPart | VideoHead | VideoData | ReplyEnd | Event


def _bad(detail: str) -> TransferError:
    return TransferError("BAD_REPLY", f"the reply is not what this program's service sends: {detail}")


def _plain_number(text: str) -> int | float:
    """A number for display: int or float, refused when long or not finite."""
    if len(text) > 40 or text.lstrip("-")[:1] not in "0123456789":
        raise _bad("a number out of bounds")
    return int(text) if text.lstrip("-").isdigit() else float(text)


class ReplyReader:
    """Incremental reader of one reply.

    ``feed`` it bytes, then call ``next_event`` until that says NEED_MORE; it
    keeps no more than what it was fed since and one JSON part.

    Args:
        max_video: bytes of the largest video to accept.
        max_parts: parts that a reply may have.
    """

    def __init__(self, max_video: int = MAX_VIDEO, max_parts: int = MAX_PARTS):
        self._limits = dict.fromkeys(_TYPES, MAX_JSON) | {reply.VIDEO: max_video}
        self._parts_left = max_parts
        self._data = bytearray()
        self._closed = False
        self._order = reply.State.START
        self._state: Callable[[], ReplyEvent | None] = self._message_head
        self._boundary = b""
        self._name = ""
        self._left = 0
        self._sha256 = ""
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        """Takes the next bytes; ``b""`` says that the peer closed its side."""
        self._closed = self._closed or not data
        self._data += data

    def next_event(self) -> ReplyEvent:
        """The next JsonPart, VideoHead, VideoData or ReplyEnd; NEED_MORE if there is none yet.

        Raises:
            TransferError: BAD_REPLY, REPLY_TRUNCATED, REPLY_TOO_LARGE or DIGEST_MISMATCH.
        """
        while (event := self._state()) is None:
            pass
        if event is NEED_MORE and self._closed:
            raise TransferError("REPLY_TRUNCATED", "the connection was closed before the reply was whole")
        return event

    # The states. Each returns an event, NEED_MORE, or None: go on with the next state.

    def _message_head(self) -> ReplyEvent | None:
        if self._data[:5] == b"HTTP/":
            raise _bad(
                "it is HTTP, as of a web page; --port is the port of client.py, 65432 where none was chosen"
            )
        headers = self._headers()
        if headers is None:
            return NEED_MORE
        match = _MESSAGE_TYPE.fullmatch(headers.get("content-type", ""))
        if match is None:
            raise _bad("no multipart/form-data with one boundary")
        self._boundary = b"--" + match.group(2).encode()
        self._state = self._first_boundary
        return None

    def _first_boundary(self) -> ReplyEvent | None:
        return self._expect(self._boundary + b"\r\n", self._part_head)

    def _part_head(self) -> ReplyEvent | None:
        headers = self._headers()
        if headers is None:
            return NEED_MORE
        self._parts_left -= 1
        if self._parts_left < 0:
            raise TransferError("REPLY_TOO_LARGE", "the reply has too many parts")
        disposition = _DISPOSITION.fullmatch(headers.get("content-disposition", ""))
        self._name = disposition.group(1) if disposition else ""
        kind = headers.get("content-type", "")
        if kind not in _TYPES.get(self._name, ()):
            raise _bad("a part of unknown name or type")
        following = reply.ORDER[self._order].get(self._name)
        if following is None:
            raise _bad(f"a {self._name} part out of order")
        self._order = following
        self._left = self._length(headers)
        self._state = self._json_body
        if self._name == reply.VIDEO:
            self._sha256 = headers.get(reply.DIGEST.lower(), "")
            if not _SHA256.fullmatch(self._sha256):
                raise _bad("a video without its SHA-256")
            self._state = self._video_body
            return VideoHead(self._left, self._sha256, _CONTAINERS[kind])
        return None

    def _length(self, headers: dict[str, str]) -> int:
        text = headers.get("content-length", "")
        if not _LENGTH.fullmatch(text) or headers.get("content-transfer-encoding", "binary") != "binary":
            raise _bad("a part without a plain Content-Length")
        if int(text) > self._limits[self._name]:
            raise TransferError(
                "REPLY_TOO_LARGE",
                f"a {self._name} part of {int(text)} bytes; at most {self._limits[self._name]} are accepted",
                limit=self._limits[self._name],
            )
        return int(text)

    def _json_body(self) -> ReplyEvent | None:
        if len(self._data) < self._left:
            return NEED_MORE
        body = self._cut(self._left)
        self._state = self._after_body
        try:
            fields = strict_json.loads(body, number=_plain_number)
        except RequestError as error:
            raise _bad(error.message) from None
        if not isinstance(fields, dict):
            raise _bad("a part that is not a JSON object")
        return JsonPart(self._name, fields)

    def _video_body(self) -> ReplyEvent | None:
        if self._left == 0:
            if self._digest.hexdigest() != self._sha256:
                raise TransferError("DIGEST_MISMATCH", "the video arrived damaged (wrong SHA-256); ask again")
            self._state = self._after_body
            return None
        if not self._data:
            return NEED_MORE
        data = self._cut(min(self._left, len(self._data)))
        self._digest.update(data)
        self._left -= len(data)
        return VideoData(data)

    def _after_body(self) -> ReplyEvent | None:
        if self._order is reply.State.LAST:
            return self._expect(b"\r\n" + self._boundary + b"--\r\n", self._end)
        return self._expect(b"\r\n" + self._boundary + b"\r\n", self._part_head)

    def _end(self) -> ReplyEvent | None:
        return ReplyEnd()

    # Pieces that the states share.

    def _headers(self) -> dict[str, str] | None:
        """The header block at the front, names in lower case; None if it is not all there."""
        end = self._data.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(self._data) >= MAX_HEAD:
                raise _bad(f"a head of more than {MAX_HEAD} bytes")
            return None
        block = self._cut(end + 4)[:-4]
        headers: dict[str, str] = {}
        for line in block.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or name != name.strip() or name in headers:
                raise _bad("a malformed or repeated header")
            headers[name] = value.strip(" \t")
        return headers

    def _expect(self, wanted: bytes, then: Callable[[], ReplyEvent | None]) -> ReplyEvent | None:
        """Takes exactly ``wanted`` from the front and goes on with ``then``."""
        if not wanted.startswith(self._data[: len(wanted)]):
            raise _bad("the boundary is not where the lengths say")
        if len(self._data) < len(wanted):
            return NEED_MORE
        self._cut(len(wanted))
        self._state = then
        return None

    def _cut(self, size: int) -> bytes:
        data = bytes(memoryview(self._data)[:size])
        del self._data[:size]
        return data

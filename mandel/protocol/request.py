"""Receives one request: bytes in, then a Request, NEED_MORE, or an error.

A request is complete when the closing brace of its object arrives, so that a
peer who sends no newline and never closes its side is served. What cannot
become a request is refused at the first byte that shows it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from mandel.errors import RequestError
from mandel.protocol import strict_json
from mandel.protocol.operation import Request, anybody, request
from mandel.protocol.strict_json import bad_json, bad_utf8

_BLANKS = b" \t\r\n"
_NUMBER = re.compile(rb"[-+.0-9eE]*")
_METHODS = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
    b"PRI ",
)
_FOREIGN = {b"\x16\x03": "tls", b"SSH-": "ssh"} | dict.fromkeys(_METHODS, "http")
_LITERALS = (b"true", b"false", b"null")
# All fields together have a tenth of these; reading a request of 64 KiB takes milliseconds because of it.
_MAX_TOKENS = 1_000


class Event(Enum):
    """What ``feed`` answers when there is no request yet, or none will come."""

    NEED_MORE = "need more"
    CLOSED = "closed without a request"


NEED_MORE = Event.NEED_MORE
CLOSED = Event.CLOSED


@dataclass(frozen=True)
class Foreign:
    """The peer speaks another protocol: ``"http"``, ``"tls"`` or ``"ssh"``."""

    protocol: str

    def reply(self, web: str | None = None) -> bytes:
        """What to send before closing; nothing but to HTTP.

        Args:
            web: address of the web page, if there is one.
        """
        if self.protocol != "http":
            return b""
        where = f"The web page is at {web}" if web else "Use client.py"
        body = f"This port speaks JSON, not HTTP. {where}\n".encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


Answer = Request | Foreign | Event


class RequestReceiver:
    """Incremental reader of one request.

    Args:
        limit: the most bytes that a request may have, blanks before it included.
        admit: raises a RequestError for a token, or None, that is not what is wanted; a peer who is not
            let in is told that and nothing else, whatever he said.
    """

    def __init__(self, limit: int = 65_536, admit: Callable[[str | None], None] = anybody):
        self.limit = limit
        self._admit, self._admitted = admit, False
        self.received = 0
        self._data = bytearray()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._scanner = strict_json.Scanner(max_marks=_MAX_TOKENS)
        self._state: Callable[[bytes], Answer] = self._opening
        self._at_end: Callable[[], Answer] = self._closed
        self._error: RequestError | None = None

    def feed(self, data: bytes) -> Answer:
        """Takes the next bytes; ``b""`` says that the peer closed its side.

        Raises:
            RequestError: what arrived is no request; raised again by every later call.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._feed(data)
        except RequestError as error:
            self._error = error
            self._data.clear()
            if not self._admitted:
                try:
                    self._admit(None)
                except RequestError as refusal:
                    self._error = refusal
            raise self._error from None

    def _feed(self, data: bytes) -> Answer:
        if not data:
            if self._utf8.getstate()[0] and self._at_end != self._truncated:
                raise bad_utf8("it ends within a character")
            return self._at_end()
        room = max(0, self.limit - self.received)
        self.received += len(data)
        answer = self._take(data[:room])
        if self.received > self.limit and answer is NEED_MORE:
            raise RequestError("TOO_LARGE", f"a request has at most {self.limit} bytes", limit=self.limit)
        if isinstance(answer, Request) and data[room:].strip(_BLANKS):
            raise _trailing()
        return answer

    def _take(self, data: bytes) -> Answer:
        """Feeds the state all whole characters; what is not UTF-8 counts after what came before it."""
        known = self._utf8.getstate()[0] + data
        try:
            self._utf8.decode(data)
        except UnicodeDecodeError as error:
            answer = self._state(known[: error.start])
            if answer is NEED_MORE:
                raise bad_utf8("there are bytes that are not UTF-8") from None
            if isinstance(answer, Request):
                raise _trailing() from None
            return answer
        return self._state(known[: len(known) - len(self._utf8.getstate()[0])])

    # The states. Each takes the next bytes and returns an answer.

    def _opening(self, data: bytes) -> Answer:
        """Blanks, then enough bytes to know what this is."""
        self._data += data
        head = bytes(self._data.lstrip(_BLANKS))
        if not head:
            self._data.clear()
            return NEED_MORE
        for opening, protocol in _FOREIGN.items():
            if head.startswith(opening):
                self._state = self._done
                return Foreign(protocol)
        self._data.clear()
        if head[:1] in (b"{", b"[", b'"'):
            return self._become(self._value, self._truncated, head)
        if head[:1] in b"-0123456789":
            return self._become(self._number, self._scalar, head)
        if head[:1] == b"\0":
            raise bad_utf8("zero bytes, as in UTF-16 or UTF-32")
        if head.startswith(b"\xef\xbb\xbf"):
            raise bad_utf8("a byte order mark")
        if head.startswith(_LITERALS):
            raise _not_object()
        if any(opening.startswith(head) for opening in (*_FOREIGN, *_LITERALS)):
            self._data += head
            self._at_end = self._not_json
            return NEED_MORE
        self._not_json()

    def _value(self, data: bytes) -> Answer:
        """Inside the brackets or quotes that opened the request."""
        end = self._scanner.feed(data)
        if end is None:
            self._data += data
            return NEED_MORE
        self._data += data[:end]
        self._state = self._done
        self._at_end = self._closed
        whole = bytes(self._data)
        self._data.clear()
        answer = request(strict_json.loads(whole), self._let_in)
        self._done(data[end:])
        return answer

    def _let_in(self, token: str | None) -> None:
        self._admit(token)
        self._admitted = True

    def _number(self, data: bytes) -> Answer:
        """A number is over when something else follows."""
        end = match.end() if (match := _NUMBER.match(data)) else 0
        self._data += data[:end]
        if end == len(data):
            return NEED_MORE
        if data[end] in _BLANKS:
            self._scalar()
        self._not_json()

    def _done(self, data: bytes) -> Answer:
        if data.strip(_BLANKS):
            raise _trailing()
        return NEED_MORE

    # What the end of the stream means.

    def _closed(self) -> Answer:
        return CLOSED

    def _truncated(self) -> NoReturn:
        raise RequestError("TRUNCATED", "the connection was closed in the middle of the JSON object")

    def _scalar(self) -> NoReturn:
        strict_json.loads(bytes(self._data))
        raise _not_object()

    def _not_json(self) -> NoReturn:
        raise bad_json("a request begins with {")

    def _become(self, state: Callable[[bytes], Answer], at_end: Callable[[], Answer], data: bytes) -> Answer:
        self._state, self._at_end = state, at_end
        return state(data)


def _not_object() -> RequestError:
    return RequestError("NOT_OBJECT", "a request is one JSON object, { ... }")


def _trailing() -> RequestError:
    return RequestError("TRAILING_DATA", "bytes follow the request; send one JSON object for each connection")

"""Answers as JSON, errors among them, and what requests bring: bodies, numbers and texts, checked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn, TypeVar

from aiohttp import web

from mandel.errors import MandelError, RequestError
from mandel.payload.decimal_text import Number
from mandel.payload.fields import JsonObject
from mandel.protocol import codes, strict_json

Result = TypeVar("Result")

ADDRESS = web.RequestKey("address", str)  # whom a request counts for
CLIENT = web.RequestKey("client", str)  # the same, and where there are sessions SESSION@ADDRESS
WHOSE = ContextVar("WHOSE", default="")  # the address of the request that is being answered
MOST_BYTES = 256 << 10  # of a body
_BODY_SECONDS = 30.0
_THREADS, _MOST_WAITING = 8, 64

_STATUS = {
    "UNAUTHORIZED": 401,
    "FOREIGN_ORIGIN": 403,
    "NOT_FOUND": 404,
    "NO_PICTURE": 404,
    "NO_ANCHOR": 404,
    "NOT_ENDED": 409,
    "IN_USE": 409,
    "AMBIGUOUS": 409,
    "NO_STRIPS": 409,
    "TOO_MANY_PINS": 409,
    "EVICTED": 410,
    "TOO_LARGE": 413,
    "NOT_JSON": 415,
    "FOREIGN_HOST": 421,
    "TOO_MANY_TRIES": 429,
    "INTERNAL": 500,
}


def status_of(error: MandelError) -> int:
    """The HTTP status of an error."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    return 400 if isinstance(error, RequestError) or error.code in codes.REFUSED else 503


def answer(what: object, status: int = 200) -> web.Response:
    """JSON that no cache keeps."""
    return answer_of(json.dumps(what, separators=(",", ":")).encode(), status)


def answer_of(body: bytes, status: int = 200) -> web.Response:
    """The same, of JSON that is encoded already."""
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def refusal(error: MandelError) -> web.Response:
    """The answer that tells of an error."""
    response = answer({"error": error.as_dict()}, status_of(error))
    if response.status in (429, 503):
        response.headers["Retry-After"] = "5"
    return response


class OffLoop:
    """Runs what may wait for a lock or a disk on a few threads, so that the loop goes on.

    Args:
        threads: how many.
        most: how many calls it takes at once, three quarters of them for one address; more are BUSY.
    """

    def __init__(self, threads: int = _THREADS, most: float = _MOST_WAITING) -> None:
        self._threads, self._most = ThreadPoolExecutor(threads, "web"), most
        self._waiting: Counter[str] = Counter()  # by address

    async def __call__(self, act: Callable[..., Result], *arguments: Any) -> Result:
        """What ``act`` returns.

        Raises:
            MandelError: BUSY when too many wait for a thread already; else what ``act`` raises.
        """
        whose = WHOSE.get()
        if self._waiting.total() >= self._most or self._waiting[whose] >= self._most * 3 / 4:
            raise MandelError("BUSY", "too many requests wait already; try again in a few seconds")
        self._waiting[whose] += 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, act, *arguments)
        running.add_done_callback(partial(self._ended, whose))
        return await asyncio.shield(running)

    def _ended(self, whose: str, running: asyncio.Future[Any]) -> None:
        self._waiting[whose] -= 1
        self._waiting += Counter()  # forgets who has none
        if not running.cancelled():
            running.exception()  # whoever asked may have gone: then nobody else looks at it

    def close(self) -> None:
        """Takes nothing more; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Shares:
    """So many of a kind at once; one address never has more than three quarters of them.

    Args:
        what: they are, for people.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, address: str) -> Iterator[None]:
        """A place for as long as the block lasts. Raises MandelError BUSY."""
        if self._taken[address] >= self._most - self._most // 4:
            raise MandelError(
                "BUSY", f"{self._taken[address]} {self._what} for your address; try again later"
            )
        if self._taken.total() >= self._most:
            raise MandelError("BUSY", f"{self._most} {self._what} already; try again in a few seconds")
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            self._taken += Counter()  # forgets who has none


async def write(asked: web.Request, sent: web.StreamResponse, data: bytes, patience: float) -> None:
    """Sends a piece of an answer. Who takes nothing for ``patience`` seconds is cut off: ConnectionResetError."""
    try:
        async with asyncio.timeout(patience):
            await sent.write(data)
    except TimeoutError as error:
        if asked.transport is not None:
            asked.transport.abort()
        raise ConnectionResetError("it took nothing for too long") from error


async def body(request: web.Request, most: int = MOST_BYTES) -> bytes:
    """The body of a request that says JSON.

    Raises:
        RequestError: NOT_JSON, TOO_LARGE, TIMEOUT.
    """
    if request.content_type != "application/json":
        raise RequestError("NOT_JSON", "a body here is JSON, with the content type application/json")
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.content.iter_any():
                data += piece
                if len(data) > most:
                    raise RequestError("TOO_LARGE", f"a body may have {most} bytes here at most", limit=most)
    except TimeoutError:
        raise RequestError("TIMEOUT", f"no whole body came within {_BODY_SECONDS:g} s") from None
    return bytes(data)


async def json_of(request: web.Request, most: int = MOST_BYTES) -> Any:
    """The JSON that is a request's body: no more of it than is read in milliseconds, as all others wait meanwhile.

    Raises:
        RequestError: as ``body`` and the strict JSON reader.
    """
    return strict_json.loads(await body(request, most), max_marks=strict_json.FEW_MARKS)


async def fields(
    request: web.Request, required: tuple[str, ...], optional: tuple[str, ...] = (), most: int = MOST_BYTES
) -> JsonObject:
    """The JSON object that is a request's body.

    Raises:
        RequestError: as ``body`` and the strict JSON reader; NOT_OBJECT, UNKNOWN_FIELD, MISSING_FIELD.
    """
    return known_fields(await json_of(request, most), "a body here", required, optional)


def known_fields(
    found: object, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> JsonObject:
    """``found``, an object with all required fields and none but optional ones beside them; ``what`` names it.

    Raises:
        RequestError: NOT_OBJECT, UNKNOWN_FIELD, MISSING_FIELD.
    """
    if not isinstance(found, dict):
        raise RequestError("NOT_OBJECT", f"{what} is one JSON object, {{ ... }}")
    for name in found:
        if name not in required + optional:
            allowed = ", ".join(required + optional) or "no field"
            raise RequestError(
                "UNKNOWN_FIELD", f"{name[:60]!r} is not known here; {allowed} is", field=name[:60]
            )
    for name in required:
        if name not in found:
            raise RequestError("MISSING_FIELD", f"the field {name!r} is missing", field=name)
    return found


def _wrong(name: str, what: str) -> NoReturn:
    raise RequestError("WRONG_TYPE", f"{name} must be {what}", field=name)


def text(given: Mapping[str, Any], name: str) -> str:
    """A field that is a string."""
    value = given[name]
    return value if isinstance(value, str) else _wrong(name, "a string")


def whole(value: object, name: str, least: int, most: int) -> int:
    """A whole number of JSON, from ``least`` to ``most``.

    Raises:
        RequestError: WRONG_TYPE, OUT_OF_RANGE.
    """
    written = value.text if isinstance(value, Number) else ""
    digits = written.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        _wrong(name, "a whole number")
    found = int(written) if len(digits) <= 20 else most + 1
    if not least <= found <= most:
        raise RequestError(
            "OUT_OF_RANGE", f"{name} is from {least} to {most}", field=name, limit=[least, most]
        )
    return found


def decimal(value: object, name: str) -> float:
    """A number of JSON as a double."""
    if not isinstance(value, Number) or len(value.text) > 40:
        _wrong(name, "a number")
    try:
        found = float(value.text)
    except ValueError:
        _wrong(name, "a number")
    return found if abs(found) < 1e18 else _wrong(name, "a number within 1e18")

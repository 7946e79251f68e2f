"""JSON without the liberties of ``json.loads``.

Refused: duplicate keys, a byte order mark, UTF-16 and UTF-32, deep nesting,
lone surrogates, NUL and other raw control characters. Numbers come as
``Number`` (their text); so do NaN and Infinity, which no field accepts, so that
whoever knows the field can refuse them by name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from mandel.errors import RequestError
from mandel.payload.decimal_text import Number
from mandel.payload.fields import JsonObject

MAX_DEPTH = 32
FEW_MARKS = 20_000  # many times what anything of ours has; they take 10 ms

# Outside strings: brackets, quotes, commas, and the ASCII that no JSON has there,
# NaN and Infinity apart.
_OUTSIDE = re.compile(rb"[^ \t\r\n:0-9+.Eaefilnrstuy\-NI\x80-\xff]")
_PAIRS = {b"{": b"}", b"[": b"]"}
_TEXT = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\.)*', re.DOTALL)
_UNFIT = re.compile("[\x00\ud800-\udfff]")


def bad_utf8(detail: str) -> RequestError:
    return RequestError("BAD_UTF8", f"{detail}; send one JSON object as UTF-8 without byte order mark")


def bad_json(detail: str) -> RequestError:
    return RequestError("BAD_JSON", f"not JSON: {detail}")


class Scanner:
    """Finds where a JSON value ends, in bytes that arrive in pieces.

    Follows strings and brackets only; what lies between is for ``loads``.

    Args:
        max_depth: brackets may nest this deep.
        max_marks: the most brackets, commas and quotes; each costs more time than other bytes.
    """

    def __init__(self, max_depth: int = MAX_DEPTH, max_marks: float = math.inf):
        self._max_depth, self._max_marks = max_depth, max_marks
        self._marks = 0
        self._closing = bytearray()
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes) -> int | None:
        """Index just past the value's end in ``data``; None when it goes on.

        Raises:
            RequestError: TOO_DEEP, TOO_LARGE, BAD_JSON (control character), BAD_UTF8 (UTF-16, UTF-32).
        """
        at = int(self._escaped and bool(data))  # past what a backslash at the end of the last piece escapes
        self._escaped = self._escaped and not data
        while at < len(data):
            if self._in_string:
                if (match := _TEXT.match(data, at)) is not None:
                    at = match.end()
                if at == len(data) - 1 and data.endswith(b"\\"):
                    self._escaped = True
                    return None
            elif (match := _OUTSIDE.search(data, at)) is not None:
                at = match.start()
            else:
                return None
            if at < len(data) and self._step(data[at : at + 1]):
                return at + 1
            at += 1
        return None

    def _step(self, byte: bytes) -> bool:
        """Takes one byte that matters; whether it ends the value."""
        self._marks += 1
        if self._marks > self._max_marks:
            raise RequestError(
                "TOO_LARGE",
                f"more than {self._max_marks} brackets, commas and quotes; that many are allowed",
                limit=self._max_marks,
            )
        if byte == b'"':
            self._in_string = not self._in_string
            return not self._in_string and not self._closing
        if self._in_string:
            raise self._misplaced(byte)
        if byte == b",":
            return False
        if byte in _PAIRS:
            self._closing += _PAIRS[byte]
            if len(self._closing) > self._max_depth:
                raise RequestError(
                    "TOO_DEEP", f"brackets nest deeper than {self._max_depth}", limit=self._max_depth
                )
            return False
        if not self._closing.endswith(byte):
            raise self._misplaced(byte)
        del self._closing[-1]
        return not self._closing

    def _misplaced(self, byte: bytes) -> RequestError:
        if byte == b"\0" and not self._in_string:
            return bad_utf8("zero bytes, as in UTF-16 or UTF-32")
        if byte < b" ":
            return bad_json(f"raw control character 0x{byte[0]:02x}; write it as \\u{byte[0]:04x}")
        return bad_json(f"{byte.decode()!r} where none can be")


def _no_duplicates(pairs: list[tuple[str, object]]) -> JsonObject:
    result: JsonObject = {}
    for key, value in pairs:
        if key in result:
            raise RequestError("DUPLICATE_KEY", f"the key {key[:60]!r} is given twice", field=key[:60])
        result[key] = value
    return result


def _check_strings(value: object) -> None:
    """Refuses what UTF-8 cannot carry (lone surrogates) and NUL, in keys and values."""
    if isinstance(value, str):
        if _UNFIT.search(value):
            raise bad_json("a string holds \\u0000 or half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)


def loads(
    data: bytes,
    number: Callable[[str], object] = Number,
    max_depth: int = MAX_DEPTH,
    max_marks: float = math.inf,
) -> Any:
    """The one JSON value in ``data``.

    Args:
        data: UTF-8, blanks around the value allowed.
        number: makes a value of each number's text (also of NaN, Infinity, -Infinity).
        max_depth, max_marks: as ``Scanner`` has them.

    Raises:
        RequestError: BAD_UTF8, BAD_JSON, TOO_DEEP, TOO_LARGE or DUPLICATE_KEY.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise bad_utf8("a byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_utf8(f"byte {error.start} is not UTF-8") from None
    Scanner(max_depth, max_marks).feed(data)
    try:
        value = json.loads(
            text,
            parse_int=number,
            parse_float=number,
            parse_constant=number,
            object_pairs_hook=_no_duplicates,
        )
    except json.JSONDecodeError as error:
        raise bad_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    _check_strings(value)
    return value


def dumps(value: object) -> bytes:
    """JSON of a value that ``loads`` gave, every number as the text it came with."""
    return _dump(value).encode()


def _dump(value: object) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return json.dumps(value, allow_nan=False)

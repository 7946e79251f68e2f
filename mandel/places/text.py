"""A file's text: as many bytes as a place can have, in any encoding that editors write; wrapped lines of JSON."""

from __future__ import annotations

import codecs
import re
import sys
from pathlib import Path

from mandel.errors import RequestError

MOST_BYTES = 4 << 20

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*"', re.DOTALL)
_WRAPPED = re.compile(r"\\?\n\s*")

_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Which of the first four bytes of an ASCII text are zero.
_ZEROS: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_NO_TEXT = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"v/1\x01": "an EXR picture",
    b"\x1f\x8b": "compressed by gzip",
    b"PK\x03\x04": "a zip archive",
    b"\xffIMPV\r\n\0": "a binary file of Imagina",
}


class FileError(RequestError):
    """BAD_FILE: the file cannot be read as what it seems to be; the message says what to change."""

    def __init__(self, message: str):
        super().__init__("BAD_FILE", message)


def read(name: str) -> bytes:
    """A file's bytes; ``-`` is standard input.

    Raises:
        RequestError: BAD_FILE: there is none, or it is larger than MOST_BYTES.
    """
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"{name}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise FileError(f"{name}: more than {MOST_BYTES >> 20} MiB, which no place or palette has")
    return data


def decoded(data: bytes) -> str:
    """The text of a file, with newlines at its lines' ends and without byte order mark.

    Encodings are UTF-8, UTF-16 and UTF-32, the latter two with or without mark; bytes that are none of them are read
    as Latin-1, as old files' comments are.

    Raises:
        RequestError: BAD_FILE: no text.
    """
    kind = next((kind for start, kind in _NO_TEXT.items() if data.startswith(start)), None)
    if kind is not None:
        raise FileError(f"it is {kind}, no text; save the place as a parameter file")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _unmarked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise RequestError(
                "BAD_UTF8", f"byte {error.start} is not {encoding.upper()}; save it as UTF-8"
            ) from None
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unmarked(data: bytes) -> str:
    """UTF-16 and UTF-32 without a mark show in the zero bytes beside ASCII's first characters."""
    return _ZEROS.get(tuple(byte == 0 for byte in data[:4]), "utf-8")


def joined(text: str) -> str:
    """JSON text in whose strings lines may be wrapped: they are put together again."""
    return _STRING.sub(lambda match: _WRAPPED.sub("", match[0]), text)

"""What a client may send amiss, and the answer to each: one row per case.

The rows are run twice: against the receiver and the payload's checks alone
(tests/payload/test_payload.py, tests/protocol/test_request.py), and against a running
server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

# Answers that are no error code.
ACCEPTED = "accepted"
QUIET = "closed without a word"
HTTP_400 = "HTTP/1.1 400"

# How a row ends after its pieces are sent.
OPEN = "stay open and read"
HALF = "close the sending side and read"
RESET = "reset the connection"

# A job of one frame that takes next to no time; rows change single fields.
SMALL = {
    "point": '"-0.5,0"',
    "num_frames": "1",
    "frame_width": "16",
    "frame_height": "16",
    "maxiter": "10",
    "fps": "20",
    "start_delta": "2.5",
    "end_delta": "2.5",
}


@dataclass(frozen=True)
class Row:
    """One thing to send and what must come back.

    Attributes:
        name: unique, for test ids.
        pieces: written one after another, each as a segment of its own.
        answer: the code of the error part, or ACCEPTED, QUIET, HTTP_400.
        ending: OPEN, HALF or RESET.
        pace: seconds between the pieces.
        costly: an accepted job too heavy to be rendered by a test.
    """

    name: str
    pieces: tuple[bytes, ...]
    answer: str
    ending: str = OPEN
    pace: float = 0.0
    costly: bool = False

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def small(**fields: str) -> bytes:
    """SMALL as JSON, some fields replaced by the given raw JSON texts."""
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in (SMALL | fields).items()) + "}").encode()


def _padded(size: int) -> bytes:
    """A good request of exactly ``size`` bytes."""
    return small().rjust(size)


def _row(name: str, data: bytes, answer: str, ending: str = OPEN, **more) -> Row:
    return Row(name, (data,), answer, ending, **more)


def _field(name: str, field: str, text: str, answer: str, **more) -> Row:
    return _row(name, small(**{field: text}), answer, **more)


def _string(text: str) -> str:
    return json.dumps(text)


_RANDOM = bytes((i * i * 31 + i * 57 + 129) % 251 for i in range(400))
_ONE_BYTE_EACH = tuple(bytes([byte]) for byte in small())

FRAMING = (
    _row("nothing, then closed", b"", QUIET, HALF),
    _row("blanks, then closed", b" \r\n", QUIET, HALF),
    Row("silence", (), "TIMEOUT"),
    Row("one byte a second", (b" ",) * 3600, "TIMEOUT", pace=1.0),
    Row("one byte per segment", _ONE_BYTE_EACH, ACCEPTED),
    _row("no newline, side left open", small(), ACCEPTED),
    _row("newline after it", small() + b"\n", ACCEPTED),
    _row("half-closed after it", small(), ACCEPTED, HALF),
    _row("half-closed in the middle", small()[:-5], "TRUNCATED", HALF),
    _row("half-closed in a string", b'{"point": "-0.5', "TRUNCATED", HALF),
    _row("half-closed in a character", b'{"palette": "\xc3', "TRUNCATED", HALF),
    _row("reset in the middle", small()[:-5], QUIET, RESET),
    _row("two objects", b"{} {}", "TRAILING_DATA"),
    _row("trailing bytes", small() + b"x", "TRAILING_DATA"),
    _row("trailing bytes that are not UTF-8", small() + b"\xff", "TRAILING_DATA"),
    _row("64 KiB", _padded(65_536), ACCEPTED),
    _row("64 KiB and one byte", _padded(65_537), "TOO_LARGE"),
    _row("a megabyte of blanks", b" " * 2**20, "TOO_LARGE"),
    _row("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", HTTP_400),
    _row("HTTP POST", b"POST /render HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", HTTP_400),
    _row("TLS hello", bytes.fromhex("16030100f8010000f40303") + bytes(240), QUIET),
    _row("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", QUIET),
)

JSON = (
    _row("random bytes", _RANDOM, "BAD_UTF8"),
    _row("random bytes after a brace", b"{" + _RANDOM, "BAD_UTF8"),
    _row("plain words", b"hello\n", "BAD_JSON"),
    _row("single quotes", b"{'maxiter': 10}", "BAD_JSON"),
    _row("a trailing comma", b'{"maxiter": 10,}', "BAD_JSON"),
    _row("brackets that do not match", b'{"maxiter": [10}', "BAD_JSON"),
    _row("a number with a leading zero", small(maxiter="010"), "BAD_JSON"),
    _row("hexadecimal", small(maxiter="0x10"), "BAD_JSON"),
    _row("a plus sign", small(maxiter="+1"), "BAD_JSON"),
    _row("a fraction", small(maxiter="1/3"), "BAD_JSON"),
    _row("invalid UTF-8", b'{"palette": "\xff"}', "BAD_UTF8"),
    _row("overlong UTF-8", b'{"palette": "\xc0\xaf"}', "BAD_UTF8"),
    _row("a surrogate in UTF-8", b'{"palette": "\xed\xa0\x80"}', "BAD_UTF8"),
    _row("byte order mark", b"\xef\xbb\xbf" + small(), "BAD_UTF8"),
    *(
        _row(name, small().decode().encode(name), "BAD_UTF8")
        for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
    ),
    _row("a lone surrogate", b'{"palette": "\\ud800"}', "BAD_JSON"),
    _row("a lone surrogate as a key", b'{"\\udc00": 1}', "BAD_JSON"),
    _row("escaped NUL", b'{"palette": "\\u0000"}', "BAD_JSON"),
    _row("raw newline in a string", b'{"palette": "a\nb"}', "BAD_JSON"),
    _row("raw escape character", b'{"palette": "\x1b[2J"}', "BAD_JSON"),
    _row("100,000 brackets", b"[" * 100_000, "TOO_DEEP"),
    _row("100,000 brackets in a field", b'{"point": ' + b"[" * 100_000, "TOO_DEEP"),
    _row("100,000 braces", b'{"a":' * 100_000, "TOO_DEEP"),
    _row("duplicate keys", b'{"maxiter": 10, "maxiter": 20}', "DUPLICATE_KEY"),
    _row("duplicate keys, one escaped", b'{"maxiter": 10, "m\\u0061xiter": 10}', "DUPLICATE_KEY"),
    _row("100,000 keys", ("{" + ",".join(f'"k{i}":1' for i in range(100_000)) + "}").encode(), "TOO_LARGE"),
    _row("unknown key", small(num_frame="1"), "UNKNOWN_FIELD"),
    _row("a key in another case", small(Maxiter="1"), "UNKNOWN_FIELD"),
    _row("empty key", b'{"": 1}', "UNKNOWN_FIELD"),
    _row("a list", b"[]", "NOT_OBJECT"),
    _row("a string", b'"point"', "NOT_OBJECT"),
    _row("a number", b"42\n", "NOT_OBJECT"),
    _row("a number, then closed", b"-4.2e1", "NOT_OBJECT", HALF),
    _row("null", b"null", "NOT_OBJECT"),
    _row("true", b"true", "NOT_OBJECT"),
)

NUMBERS = (
    *(
        _field(f"{text} for {field}", field, text, "NOT_FINITE")
        for text in ("NaN", "Infinity", "-Infinity", "1e400", "1e1000000", "1e999999999999999999")
        for field in ("num_frames", "frame_width", "maxiter", "start_delta", "end_delta")
    ),
    _field("an exponent of 60,000 digits", "end_delta", "1e" + "9" * 60_000, "OUT_OF_RANGE"),
    _field("5,000-digit integer", "maxiter", "9" * 5_000, "OUT_OF_RANGE"),
    _field("5,000-digit number of frames", "num_frames", "9" * 5_000, "OUT_OF_RANGE"),
    _field("50,000 digits", "maxiter", "9" * 50_000, "OUT_OF_RANGE"),
    _field("50,000 digits of a delta", "end_delta", _string("0." + "1" * 50_000), "OUT_OF_RANGE"),
    _field("50,000 digits of a coordinate", "point", _string("0." + "1" * 50_000 + ",0"), "OUT_OF_RANGE"),
    *(
        _field(f"{text} for an integer", "maxiter", text, "WRONG_TYPE")
        for text in ("true", "false", "null", '"100"', "1.5", "1e-5", "[100]", '{"a": 1}')
    ),
    *(
        _field(f"{text} for an integer of ten", "maxiter", text, ACCEPTED)
        for text in ("10.0", "1E1", "1000e-2")
    ),
    _field("-0 as a coordinate", "point", '"-0.5,-0"', ACCEPTED),
    _field("-0 as a delta", "end_delta", "-0", "OUT_OF_RANGE"),
    *(
        _field(f"delta {text!r}", "end_delta", json.dumps(text), "BAD_NUMBER")
        for text in (
            "1_000",
            "١٢",
            "１",
            " nan ",
            "0x10",
            "1/3",
            "+1",
            "",
            ".",
            "1e",
            "e5",
            "1 ",
            "--1",
            "1,5",
            "½",
        )
    ),
    *(
        _field(f"point {text!r}", "point", json.dumps(text), "BAD_NUMBER")
        for text in ("", ",", "1", "1,", "1,2,3", "+1,0", "1_0,0", "0x1,0", "i,1", "1;2")
    ),
    _field("a point of numbers", "point", "[-0.5, 0]", "WRONG_TYPE"),
    _field("a list as a delta", "end_delta", "[1]", "WRONG_TYPE"),
    _field("true as a delta", "end_delta", "true", "WRONG_TYPE"),
    _field("1e-20000", "end_delta", '"1e-20000"', ACCEPTED, costly=True),
    _field("1e-100000", "end_delta", '"1e-100000"', "TOO_DEEP_ZOOM"),
    _field("1e-100000 without quotes", "end_delta", "1e-100000", "TOO_DEEP_ZOOM"),
    _field("1e-999999999999999999", "end_delta", '"1e-999999999999999999"', "TOO_DEEP_ZOOM"),
    _field("1e-100000 as a coordinate", "point", '"1e-100000,0"', "TOO_DEEP_ZOOM"),
    _field("1e400 as a coordinate", "point", '"1e400,0"', "NOT_FINITE"),
)

MEANING = (
    *(_field(f"{text} frames", "num_frames", text, "OUT_OF_RANGE") for text in ("0", "-1")),
    _field("one frame", "num_frames", "1", ACCEPTED),
    _field("1e9 frames", "num_frames", "1e9", "JOB_TOO_BIG"),
    _row("zoom out", small(num_frames="2", start_delta="1", end_delta="2"), ACCEPTED),
    _row("no zoom", small(num_frames="2"), ACCEPTED),
    *(
        _field(f"{field} {text}", field, text, "OUT_OF_RANGE")
        for field in ("start_delta", "end_delta")
        for text in ("0", "-1", '"0.0"', '"-1e-5"', "1e7")
    ),
    *(
        _field(f"{field} {text}", field, text, "OUT_OF_RANGE")
        for field in ("frame_width", "frame_height")
        for text in ("0", "-1", "1", "1e9", "17")
    ),
    *(
        _field(f"maxiter {text}", "maxiter", text, "OUT_OF_RANGE")
        for text in ("0", "-1", "9223372036854775808")
    ),
    _field("maxiter by another word", "maxiter", '"automatic"', "WRONG_TYPE"),
    _row(
        "legal fields, huge product",
        small(num_frames="100000", frame_width="16384", frame_height="16384"),
        "JOB_TOO_BIG",
    ),
    _row(
        "huge by supersampling",
        small(num_frames="100000", frame_width="2000", frame_height="1500", supersampling="4"),
        "JOB_TOO_BIG",
    ),
    *(_field(f"fps {text}", "fps", text, "OUT_OF_RANGE") for text in ("0", "-1", "1e9", "NaN", "1e-9")),
    *(_field(f"fps {text}", "fps", text, ACCEPTED) for text in ("29.97", '"30000/1001"', '"1/3"')),
    *(
        _field(f"fps {text}", "fps", text, "OUT_OF_RANGE")
        for text in ('"1/0"', '"0/1"', '"241/1"', '"1/101"')
    ),
    *(
        _field(f"fps {text}", "fps", text, "BAD_NUMBER")
        for text in ('"-30/1"', '"30 / 1"', '"1/2/3"', '"1e3/1"', '"1/"', '"1234567890/1001"', '"29.97/1"')
    ),
    *(_field(f"supersampling {text}", "supersampling", text, "OUT_OF_RANGE") for text in ("0", "5")),
    *(
        _field(f"palette {text[:20]!r}", "palette", json.dumps(text), "UNKNOWN_VALUE")
        for text in (
            "nosuch",
            "../../etc/passwd",
            "/etc/passwd",
            "x" * 300,
            "a\nb",
            "-vf scale=2:2",
            "",
            "{0}",
        )
    ),
    _field("palette by number", "palette", "1", "WRONG_TYPE"),
    _field("sampling of another kind", "sampling", '"adaptive"', "UNKNOWN_VALUE"),
    *(
        _field(f"{name} {text}", name, text, "OUT_OF_RANGE")
        for name, text in (
            ("strip_density", "0"),
            ("strip_density", "4.1"),
            ("strip_density", "1e99"),
            ("easing", "-0.1"),
            ("easing", "1.0000000000001"),
            ("rotation", "36001"),
            ("rotation", "1e-99999"),
        )
    ),
    _field("easing by word", "easing", '"slow"', "BAD_NUMBER"),
    *(
        _row(f"the field {name}", small(**{name: '"x"'}), "UNKNOWN_FIELD")
        for name in ("encoder", "preset", "filename", "__class__")
    ),
    _field("a point outside the set", "point", '"5,5"', ACCEPTED),
)

OPERATIONS = (
    _row("unknown operation", b'{"op": "destroy"}', "UNKNOWN_VALUE"),
    _row("operation by number", b'{"op": 1}', "WRONG_TYPE"),
    _row("field that the operation lacks", b'{"op": "list", "job": "x"}', "UNKNOWN_FIELD"),
    _row("attach without a job", b'{"op": "attach"}', "MISSING_FIELD"),
    *(
        _row(f"{op} {name} job", json.dumps({"op": op, "job": job}).encode(), "NOT_FOUND")
        for op in ("status", "cancel", "attach")
        for name, job in (
            ("unknown", "0" * 64),
            ("malformed", "../../etc/passwd"),
            ("empty", ""),
            ("long", "a" * 300),
            ("numbered", 7),
            ("upper case", "A" * 64),
            ("newline", "0" * 64 + "\n"),
        )
    ),
)

ROWS = FRAMING + JSON + NUMBERS + MEANING + OPERATIONS

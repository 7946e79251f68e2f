"""The receiver as rows of (bytes, events), whole and byte by byte."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mandel.errors import RequestError
from mandel.payload.decimal_text import Number
from mandel.payload.fields import RECOLOURED
from mandel.protocol.operation import TABLE, Request
from mandel.protocol.request import CLOSED, NEED_MORE, Foreign, RequestReceiver

JOB = "0123456789abcdef" * 4

# Pieces fed (b"" is the end of the stream) and the answer to each; a string is an error's code.
CONVERSATIONS = [
    ((b"",), (CLOSED,)),
    ((b" \n", b""), (NEED_MORE, CLOSED)),
    ((b"{", b"}"), (NEED_MORE, Request("render", {}))),
    ((b"{}\n", b"", b""), (Request("render", {}), CLOSED, CLOSED)),
    ((b"{}", b" ", b"\n", b""), (Request("render", {}), NEED_MORE, NEED_MORE, CLOSED)),
    ((b"{}", b"{"), (Request("render", {}), "TRAILING_DATA")),
    ((b"{}{",), ("TRAILING_DATA",)),
    ((b'{"a"', b": 1.50}"), (NEED_MORE, Request("render", {"a": Number("1.50")}))),
    ((b'{"a": "}', b"\\", b'"}', b'"}'), (NEED_MORE, NEED_MORE, NEED_MORE, Request("render", {"a": '}"}'}))),
    ((b'{"a": "\xc3', b'\xa9"}'), (NEED_MORE, Request("render", {"a": "é"}))),
    ((b'{"a": "\xc3', b'"}'), (NEED_MORE, "BAD_UTF8")),
    ((b'{"a"', b""), (NEED_MORE, "TRUNCATED")),
    ((b"[", b"]"), (NEED_MORE, "NOT_OBJECT")),
    ((b"4", b"2", b"\n"), (NEED_MORE, NEED_MORE, "NOT_OBJECT")),
    ((b"4", b"\xff"), (NEED_MORE, "BAD_UTF8")),
    ((b"4", b"x"), (NEED_MORE, "BAD_JSON")),
    ((b"4..", b""), (NEED_MORE, "BAD_JSON")),
    ((b"tr", b"ue"), (NEED_MORE, "NOT_OBJECT")),
    ((b"tr", b""), (NEED_MORE, "BAD_JSON")),
    ((b"GE", b"T / HTTP/1.1\r\n"), (NEED_MORE, Foreign("http"))),
    ((b"GEX",), ("BAD_JSON",)),
    ((b"\x16", b"\x03\x01"), (NEED_MORE, Foreign("tls"))),
    ((b"\x16\x03\x01\x00\xf8",), (Foreign("tls"),)),
    ((b"SSH-2.0-x\r\n",), (Foreign("ssh"),)),
    ((b"{'a'",), ("BAD_JSON",)),
    ((b"{hello",), ("BAD_JSON",)),
    ((b"{\0",), ("BAD_UTF8",)),
    ((b'{"op": "list"}',), (Request("list", {}),)),
    ((b'{"op": "estimate", "client": "a"}',), (Request("estimate", {}, client="a"),)),
    ((b'{"name": "deep"}',), (Request("render", {}, name="deep"),)),
    ((b'{"name": 7}',), ("WRONG_TYPE",)),
    ((b'{"name": "%s"}' % (b"x" * 65),), ("OUT_OF_RANGE",)),
    ((b'{"op": "list", "name": "x"}',), ("UNKNOWN_FIELD",)),
    ((b'{"op": "status"}',), (Request("status", {}),)),
    ((b'{"op": "render", "maxiter": 7}',), (Request("render", {"maxiter": Number("7")}),)),
    *(
        ((json.dumps({"op": op, "job": JOB}).encode(),), (Request(op, {"job": JOB}),))
        for op in ("status", "attach", "cancel", "pause", "resume", "retry", "pin", "unpin", "delete")
    ),
    ((b'{"fps": 7, "priority": -3, "token": "t"}',), (Request("render", {"fps": Number("7")}, -3),)),
    ((b'{"op": "list", "token": "t"}',), (Request("list", {}),)),
    ((b'{"token": 1}',), ("WRONG_TYPE",)),
    ((b'{"token": null}',), ("WRONG_TYPE",)),
    *(
        ((b'{"priority": %s}' % text,), (Request("render", {}, value),))
        for text, value in ((b"5.0", 5), (b"1e0", 1), (b"-90E-1", -9), (b"-0.0", 0), (b"0e999", 0))
    ),
    *(
        ((b'{"priority": %s}' % text,), (code,))
        for text, code in (
            (b"0.5", "WRONG_TYPE"),
            (b"1e-400", "WRONG_TYPE"),
            (b"NaN", "NOT_FINITE"),
            (b"-Infinity", "NOT_FINITE"),
            (b"1e999", "NOT_FINITE"),
            (b"9.000000000000000000001", "WRONG_TYPE"),
            (b"-10", "OUT_OF_RANGE"),
            (b"1" * 5_000, "OUT_OF_RANGE"),
            (b"true", "WRONG_TYPE"),
            (b"null", "WRONG_TYPE"),
        )
    ),
    ((b'{"priority": "1"}',), ("WRONG_TYPE",)),
    ((b'{"priority": 1e9}',), ("OUT_OF_RANGE",)),
    ((b'{"priority": 10}',), ("OUT_OF_RANGE",)),
    ((b'{"op": "attach"}',), ("MISSING_FIELD",)),
    (
        (
            b'{"op": "recolour", "job": "%s", "palette": "fire", "fps": 60, "priority": 1, "client": "me"}'
            % (b"0" * 64),
        ),
        (Request("recolour", {"job": "0" * 64, "palette": "fire", "fps": Number("60")}, 1, "me"),),
    ),
    ((b'{"op": "recolour", "job": "%s", "point": "0,0"}' % (b"0" * 64),), ("UNKNOWN_FIELD",)),
    ((b'{"op": "lst"}',), ("UNKNOWN_VALUE",)),
    ((b'{"op": null}',), ("WRONG_TYPE",)),
    ((b'{"op": "status", "jo": 1}',), ("UNKNOWN_FIELD",)),
    ((b'{"op": "cancel", "job": "x"}',), ("NOT_FOUND",)),
]


def test_recolour_says_what_it_takes():
    with pytest.raises(RequestError) as caught:
        RequestReceiver().feed(b'{"op": "recolour", "job": "%s", "maxiter": 9}' % (b"0" * 64))
    assert caught.value.limit == list(RECOLOURED) and "max_bitrate or subtitles;" in caught.value.message
    assert "cannot change 'maxiter'" in caught.value.message


def answers(receiver, pieces):
    for piece in pieces:
        try:
            yield receiver.feed(piece)
        except RequestError as error:
            yield error.code


@pytest.mark.parametrize("pieces, events", CONVERSATIONS)
def test_conversation(pieces, events):
    assert tuple(answers(RequestReceiver(), pieces)) == events


@pytest.mark.parametrize("pieces, events", [row for row in CONVERSATIONS if "TRAILING_DATA" not in row[1]])
def test_byte_by_byte(pieces, events):
    receiver = RequestReceiver()
    single = [bytes([byte]) for piece in pieces for byte in piece] + [b""] * (pieces[-1] == b"")
    telling = [answer for answer in answers(receiver, single) if answer is not NEED_MORE]
    assert telling[0] == next(event for event in events if event is not NEED_MORE)


def test_an_error_stays():
    receiver = RequestReceiver()
    assert list(answers(receiver, (b"x", b"{}", b""))) == ["BAD_JSON"] * 3


@pytest.mark.parametrize("piece", [1, 1_000, 10**6])
def test_limit(piece):
    def last(data):
        receiver = RequestReceiver(limit=5_000)
        return list(answers(receiver, [data[at : at + piece] for at in range(0, len(data), piece)]))[-1]

    assert last(b"{}".rjust(5_000)) == Request("render", {})
    assert last(b"{}".rjust(5_001)) == "TOO_LARGE"
    assert last(b'{"a": "' + b"x" * 10_000) == "TOO_LARGE"


def test_what_is_over_the_limit_is_not_kept():
    receiver = RequestReceiver(limit=100)
    assert list(answers(receiver, [b'{"a": "' + b"x" * 90, b"x" * 10**6])) == [NEED_MORE, "TOO_LARGE"]


def test_http_is_told_where_to_go():
    reply = Foreign("http").reply("http://127.0.0.1:8080/")
    head, body = reply.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and f"Content-Length: {len(body)}".encode() in head
    assert b"http://127.0.0.1:8080/" in body
    assert Foreign("tls").reply() == Foreign("ssh").reply() == b""


def test_unknown_field_names_the_nearest():
    with pytest.raises(RequestError, match="did you mean 'job'"):
        RequestReceiver().feed(b'{"op": "status", "jb": 1}')


@given(st.binary(max_size=300), st.booleans())
@settings(deadline=None)
def test_any_bytes(data, braced):
    """An answer or an error with a code; never another exception."""
    data = b"{" * braced + data
    whole = list(answers(RequestReceiver(), (data, b"")))
    single = list(answers(RequestReceiver(), [bytes([byte]) for byte in data] + [b""]))
    first = [next((a for a in run if a is not NEED_MORE), None) for run in (whole, single)]
    assert first[0] == first[1] or isinstance(first[1], Request)


@given(st.text('{}[]":,\\ 0123456789eE.-+nulltrefasopjb\n', max_size=60))
@settings(deadline=None)
def test_almost_json(text):
    list(answers(RequestReceiver(), (("{" + text).encode(), b"")))


def test_every_operation_has_a_row_that_works():
    assert set(TABLE) == {events[-1].op for _, events in CONVERSATIONS if isinstance(events[-1], Request)}


@pytest.mark.parametrize("inner", [b"[],", b'"",', b"1,", b"[]"])
def test_what_would_take_long_to_read_is_refused(inner):
    data = b'{"a": [' + inner * 2_000 + b"1]}"
    for piece in (1, 100, len(data)):
        pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
        assert list(answers(RequestReceiver(), pieces))[-1] == "TOO_LARGE"

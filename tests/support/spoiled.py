"""Requests gone wrong in a random way, and what must be answered."""

from __future__ import annotations

import json
import random
from pathlib import Path

from mandel.errors import RequestError
from mandel.payload.payload import parse
from mandel.protocol.operation import RENDER
from mandel.protocol.request import CLOSED, NEED_MORE, Foreign, RequestReceiver
from tests.end_to_end import bad_inputs

_SEED = (Path(__file__).parents[2] / "payload.json").read_bytes()
_PIECES = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"-",
    b"NaN",
    b"1e9",
    b"9" * 50,
    b"true",
    b"\\u0000",
    b"\xff",
    b'"op":',
]


def spoiled(chance: random.Random) -> bytes:
    """The seed's payload after one to four mishaps: a byte changed, something inserted, some bytes lost."""
    data = bytearray(_SEED)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at:at] = chance.choice(_PIECES)
            case 2:
                del data[at : at + chance.randint(1, 9)]
    return bytes(data)


def answer(pieces, ending: str = bad_inputs.HALF) -> str:
    """What the service must answer, as far as receiver and payload know.

    Args:
        pieces: bytes, as they arrive.
        ending: HALF, or whatever follows without the end of the peer's side.
    """
    receiver = RequestReceiver()
    try:
        event = NEED_MORE
        for piece in pieces:
            if piece and (event := receiver.feed(piece)) is not NEED_MORE:
                break
        if event is NEED_MORE and ending == bad_inputs.HALF:
            event = receiver.feed(b"")
        if isinstance(event, Foreign):
            return bad_inputs.HTTP_400 if event.reply() else bad_inputs.QUIET
        if event is CLOSED:
            return bad_inputs.QUIET
        if event is NEED_MORE:
            return "TIMEOUT"
        if event.op == RENDER:
            parse(event.fields)
            return bad_inputs.ACCEPTED
        return "NOT_FOUND"  # the well-formed ids of the table belong to nobody
    except RequestError as error:
        assert error.message and len(error.message) < 1_000
        json.dumps(error.as_dict(), allow_nan=False)
        return error.code

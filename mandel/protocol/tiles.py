"""What the head and the explorer's process say to each other.

A message is a JSON object and bytes: u32 length of the JSON, u32 length of the bytes, both little endian, then the two.

To the explorer (``do``): ``anchor`` (client, anchor, level, x, y), ``tile`` (id, client, order, anchor, dlevel, dx, dy,
step, maxiter, shaded), ``limit`` (id, client, order, anchor, dlevel, x, y), ``locate`` (id, client, order, re, im,
delta, max_period), ``curve`` (id, client, order, places: each as a limit has it, maxiter or null), ``cancel`` (id).

From it (``event``): ``ready``, ``alive`` every two seconds, ``unavailable`` (error), ``done`` (id, and what was found,
or a tile's bytes), ``failed`` (id, error), ``stage`` (anchor or id, done, total).
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

from mandel.protocol.control import address

_LENGTHS = struct.Struct("<II")
_MOST_JSON, _MOST_BYTES = 1 << 20, 4 << 20

Message = dict[str, Any]
Name = TypeVar("Name", bound=Hashable)


def packed(message: Message, body: bytes | memoryview = b"") -> bytes:
    """A message as it is sent."""
    words = json.dumps(message, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(words), len(body)), words, body))


async def received(reader: asyncio.StreamReader) -> tuple[Message, bytes] | None:
    """The next message; None at the end.

    Raises:
        ValueError: it is none.
    """
    try:
        words, body = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if words > _MOST_JSON or body > _MOST_BYTES:
            raise ValueError(f"a message of {words} and {body} bytes")
        message = json.loads(await reader.readexactly(words))
        return message, await reader.readexactly(body)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def first_of_who_has_most(kept: Iterable[tuple[Name, int, str]]) -> Name:
    """Which one is forgotten: the longest unused of the address that has most, so that nobody loses his to others.

    Args:
        kept: name, size and client of each, the longest unused first.
    """
    owned = [(name, size, address(client)) for name, size, client in kept]
    sizes: Counter[str] = Counter()
    for _, size, where in owned:
        sizes[where] += size
    most = max(sizes, key=lambda where: sizes[where])
    return next(name for name, _, where in owned if where == most)

"""Values on their way between the processes of one machine.

A small value travels in the message. The bytes of a large one lie in memory without a name: every process that holds
its descriptor can map it, and it is freed with the last of them, even if all are killed.
"""

from __future__ import annotations

import mmap
import os
import pickle
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from queue import SimpleQueue
from typing import Any, NamedTuple

# Values with less in their arrays travel in the message, where there is memory without a name at all (Linux).
_SMALL = 1 << 17 if hasattr(os, "memfd_create") else 1 << 62
_ALIGNED = 64  # as OpenCL's runtimes like it


_to_close: SimpleQueue[int] = SimpleQueue()
_closer: threading.Thread | None = None


def close_on_a_thread() -> None:
    """From now on a thread of this process frees what values took. That takes time, in which a loop cannot wait."""
    global _closer  # noqa: PLW0603 - there is one for a process, as there is for its descriptors
    if _closer is None:
        _closer = threading.Thread(target=_close_all, name="mandel-closer", daemon=True)
        _closer.start()


def _close(descriptor: int) -> None:
    if _closer is None:
        os.close(descriptor)
    else:
        _to_close.put(descriptor)


def _close_all() -> None:
    while True:
        with suppress(OSError):  # one that cannot be closed must not keep all others
            os.close(_to_close.get())


class _Head(NamedTuple):
    """What the message says of a value: its pickle, and where its arrays' bytes lie in the memory."""

    pickled: bytes
    spans: tuple[tuple[int, int], ...]
    size: int


class SharedValue:
    """A value that processes pass on; unpickled only where ``value`` is called."""

    def __init__(self, head: _Head, descriptor: int | None):
        self.head = head
        self.descriptor = descriptor
        if descriptor is not None:
            weakref.finalize(self, _close, descriptor)

    @classmethod
    def of(cls, value: Any) -> SharedValue:
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(value, 5, buffer_callback=buffers.append)
        parts = [buffer.raw() for buffer in buffers]
        if sum(part.nbytes for part in parts) < _SMALL:
            return cls(_Head(pickle.dumps(value, 5), (), 0), None)
        spans, end = [], 0
        for part in parts:
            spans.append((end, part.nbytes))
            end += -(-part.nbytes // _ALIGNED) * _ALIGNED
        descriptor = os.memfd_create("mandel", os.MFD_CLOEXEC)
        shared = cls(_Head(pickled, tuple(spans), end), descriptor)
        os.ftruncate(descriptor, end)
        for (place, _), part in zip(spans, parts, strict=True):
            while part.nbytes:
                written = os.pwrite(descriptor, part, place)
                part, place = part[written:], place + written  # noqa: PLW2901 - a large write may be cut
        return shared

    def value(self) -> Any:
        """The value; its arrays share this memory and cannot be written to."""
        if self.descriptor is None:
            return pickle.loads(self.head.pickled)  # noqa: S301 - from a process of ours
        whole = memoryview(mmap.mmap(self.descriptor, self.head.size, prot=mmap.PROT_READ))
        parts = [whole[start : start + length] for start, length in self.head.spans]
        return pickle.loads(self.head.pickled, buffers=parts)  # noqa: S301 - from a process of ours


class Line:
    """One end of a socket pair: messages, with values beside them. Any thread may send; one thread receives."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self._sending = threading.Lock()

    def send(self, message: Any, values: Sequence[SharedValue] = ()) -> None:
        """Raises OSError when nobody is at the other end."""
        with self._sending:
            self.connection.send((message, [value.head for value in values]))
            for value in values:
                if value.descriptor is not None:
                    send_handle(self.connection, value.descriptor, None)

    def receive(self) -> tuple[Any, list[SharedValue]]:
        """Waits for a message. Raises EOFError or OSError when nobody is at the other end."""
        message, heads = self.connection.recv()
        return message, [
            SharedValue(head, recv_handle(self.connection) if head.size else None) for head in heads
        ]

"""The explorer's process as the head sees it: started when somebody looks, asked, heard, and ended."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mandel.errors import MandelError, RenderError
from mandel.protocol.tiles import Message, packed, received
from mandel.service.service import Service
from mandel.service.supervision.driver_process import on_leash

_log = logging.getLogger("mandel.clients")

_IDLE_SECONDS = 900.0
# So long it may say nothing: it says every two seconds that it is alive.
_CHECK_SECONDS, _MOST_CHECKS = 2.0, 10
_START_SECONDS, _LOOK_SECONDS = 120.0, 0.25
_AGAIN_SECONDS = 5.0  # between starts
_LONGEST_LINE = 1_000
_LOST = "what makes the pictures has ended; ask again"

Stage = Callable[[int, int], object]


class Explorer:
    """On the loop's thread alone.

    Args:
        service: whose cluster does the work.
    """

    def __init__(self, service: Service):
        self._service = service
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._used = self._started = -_AGAIN_SECONDS
        self._address = ""
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._known: set[str] = set()  # anchors that the process has been told
        self._stages: dict[object, set[Stage]] = {}

    def prepare(self) -> None:
        """Somebody will look soon: starts the process, if there is none."""
        self._used = time.monotonic()
        if self._keeper is None or self._keeper.done():
            self._ready = asyncio.get_running_loop().create_future()
            self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
            self._keeper = asyncio.create_task(self._keep(self._ready))

    async def ask(self, message: Message, *anchors: Message, stage: Stage | None = None) -> Any:
        """What the process answers: an object, or the bytes of a tile. Cancelled, it is told so.

        Args:
            message: without id.
            anchors: what the process must be told first, if it does not know them.
            stage: told how far it is.

        Raises:
            MandelError: the process's; EXPLORER_LOST when it has ended meanwhile, and the next one too.
        """
        try:
            return await self._ask(message, anchors, stage)
        except MandelError as error:
            if error.code not in ("EXPLORER_LOST", "NO_ANCHOR"):  # one that it has forgotten is told anew
                raise
        return await self._ask(message, anchors, stage)

    async def _ask(self, message: Message, anchors: Sequence[Message], stage: Stage | None) -> Any:
        self.prepare()
        assert self._ready is not None  # noqa: S101 - ``prepare`` made it
        await asyncio.shield(self._ready)
        if self._writer is None:  # it has ended since
            raise RenderError("EXPLORER_LOST", _LOST)
        for anchor in anchors:
            if anchor["anchor"] not in self._known:
                self._known.add(anchor["anchor"])
                self._say(anchor)
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        if stage is not None:
            self._stages[number] = {stage}
        self._say(message | {"id": number})
        try:
            return await answer
        except asyncio.CancelledError:
            self._say({"do": "cancel", "id": number})
            raise
        except MandelError as error:
            if error.code == "NO_ANCHOR":  # it has forgotten one
                self._known -= {anchor["anchor"] for anchor in anchors}
            raise
        finally:
            self._asked.pop(number, None)
            self._stages.pop(number, None)
            self._used = time.monotonic()

    @contextmanager
    def hearing(self, anchor: str, stage: Stage) -> Iterator[None]:
        """While the block runs, ``stage(done, total)`` is told how far an anchor's orbit is."""
        hearers = self._stages.setdefault(anchor, set())
        hearers.add(stage)
        try:
            yield
        finally:
            hearers.discard(stage)
            if not hearers:
                self._stages.pop(anchor, None)

    async def close(self) -> None:
        """Ends the process."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})

    # -- the process ------------------------------------------------------

    def _say(self, message: Message) -> None:
        if self._writer is not None:
            self._writer.write(packed(message))

    async def _keep(self, ready: asyncio.Future[None]) -> None:
        """One life of the process."""
        error: MandelError = RenderError("EXPLORER_LOST", _LOST)
        try:
            await asyncio.sleep(self._started + _AGAIN_SECONDS - time.monotonic())
            command = await self._command()
            self._started = time.monotonic()
            reader = await self._start(command)
            async with asyncio.timeout(_START_SECONDS):
                found = await received(reader)
            if found is None or found[0]["event"] != "ready":
                if found is not None:
                    error = MandelError.from_dict(found[0]["error"])
                raise error
            ready.set_result(None)
            while (found := await self._next(reader)) is not None:
                self._hear(*found)
        except MandelError as failure:
            error = failure
        except (OSError, ValueError, LookupError) as failure:
            _log.error("explorer: %r", failure)
        finally:
            self._end()
            if not ready.done():
                ready.set_exception(error)
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(error)

    async def _next(self, reader: asyncio.StreamReader) -> tuple[Message, bytes] | None:
        """The next message; None when there will be none, when nobody has looked for long, or when the driver has
        another cluster now.

        Raises:
            TimeoutError: the process hangs.
        """
        hearing = asyncio.create_task(received(reader))
        try:
            # Counted, not timed: both may have been stopped, and have just woken up.
            for _ in range(_MOST_CHECKS):
                is_idle = not self._asked and time.monotonic() - self._used > _IDLE_SECONDS
                if is_idle or self._service.supervisor.cluster.get("address", self._address) != self._address:
                    return None
                done, _ = await asyncio.wait({hearing}, timeout=_CHECK_SECONDS)
                if done:
                    return hearing.result()
            raise TimeoutError("it said nothing for too long")
        finally:
            hearing.cancel()

    async def _command(self) -> list[str]:
        """How to start the process, once the driver has told of its cluster.

        Raises:
            RenderError: NOT_READY.
        """
        supervisor = self._service.supervisor
        deadline = time.monotonic() + _START_SECONDS
        while supervisor.facts["state"] != "ready" or "address" not in supervisor.cluster:
            if time.monotonic() > deadline:
                why = supervisor.facts.get("error") or "it is still starting"
                raise RenderError("NOT_READY", f"the renderer is not ready: {why}")
            await asyncio.sleep(_LOOK_SECONDS)
        address, device = supervisor.cluster["address"], self._service.settings.device
        self._address = address
        return [
            *(sys.executable, "-m", "mandel.explorer.main", "--device", device),
            *(("--address", address) if address else ()),
            *(("--joined",) if supervisor.cluster.get("joined") else ()),
        ]

    async def _start(self, command: list[str]) -> asyncio.StreamReader:
        ours, theirs = socket.socketpair()
        output, printed = os.pipe()
        try:
            self._process = on_leash(command, theirs.fileno(), printed)
        finally:
            theirs.close()
            os.close(printed)
        threading.Thread(target=_copy, args=(output,), name="explorer", daemon=True).start()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        return reader

    def _hear(self, message: Message, body: bytes) -> None:
        if message["event"] == "alive":
            return
        if message["event"] == "stage":
            for stage in self._stages.get(message.get("anchor", message.get("id")), ()):
                stage(message["done"], message["total"])
            return
        answer = self._asked.get(message["id"])
        if answer is None or answer.done():
            return
        if message["event"] == "failed":
            answer.set_exception(MandelError.from_dict(message["error"]))
        else:
            answer.set_result(message.get("found", body))

    def _end(self) -> None:
        self._known.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process is not None:
            process, self._process = self._process, None
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def _copy(output: int) -> None:
    """Puts what the process prints into the log, until it ends."""
    with os.fdopen(output, errors="replace") as lines:
        while line := lines.readline(_LONGEST_LINE):
            if line.strip():
                _log.warning("explorer: %s", line.strip())

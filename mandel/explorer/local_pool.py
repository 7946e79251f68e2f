"""The explorer's work in processes of this machine, for a service without Ray."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from mandel.device import machine
from mandel.errors import MandelError, RenderError
from mandel.explorer.makers import Maker, MakerLost, Pool, Told
from mandel.worker.tile_maker import TileMaker

_PROCESSES = get_context("spawn")
_THREADS = 64  # beside one for each core
_NICE = 15  # Ray's of tasks


class _Sender:
    """Sends calls to one process, one after the other: two threads would mix the pieces of long messages."""

    def __init__(self, line: Connection):
        self._line, self._thread = line, ThreadPoolExecutor(1)
        self._orbit: object = None  # the last one that it was sent

    async def __call__(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        """Returns once a call is sent. Raises OSError when the process has ended."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._send, number, method, arguments)

    def _send(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        sent, orbit = list(arguments), arguments[-1] if arguments else None
        if method == "tile" and orbit is not None and orbit is self._orbit:
            sent[-1] = None  # the process keeps the last one: it need not travel again
        self._orbit = self._orbit if orbit is None else orbit
        self._line.send((number, method, sent))


class LocalMaker(Maker):
    """A tile maker in a process."""

    def __init__(self, device: str):
        self._device = device
        super().__init__()

    def _start(self) -> None:
        line, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_make, args=(theirs, self._device), daemon=True)
        self._process.start()
        theirs.close()
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._send = _Sender(line)
        self._reading = asyncio.create_task(self._read(line, self._answers))

    def _kill(self) -> None:
        self._process.kill()

    def another(self) -> LocalMaker:
        """One more."""
        return LocalMaker(self._device)

    async def _ask(self, method: str, *arguments: Any) -> Any:
        number, answers = next(self._numbers), self._answers
        answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(number, method, arguments)
            return await answers[number]
        except OSError as gone:
            raise MakerLost from gone
        finally:
            answers.pop(number, None)

    async def _read(self, line: Connection, answers: dict[int, asyncio.Future[Any]]) -> None:
        try:
            while True:
                number, answer = await asyncio.to_thread(line.recv)
                if number in answers and not answers[number].done():
                    answers[number].set_result(answer)
        except (EOFError, OSError):
            for waiting in answers.values():
                if not waiting.done():
                    waiting.set_exception(MakerLost())


class LocalPool(Pool):
    """One maker, and a process for each orbit or minibrot.

    Args:
        device: the setting ``device``.
    """

    def __init__(self, device: str):
        # Each process has a thread that waits for what it says. There are as many desks as cores, with the second ones.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS + machine.cores()))
        self.makers = [LocalMaker(device)]

    async def _task(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], told: Told
    ) -> tuple[Any, dict[str, Any]]:
        line, theirs = _PROCESSES.Pipe(duplex=False)
        process = _PROCESSES.Process(target=_told_by, args=(theirs, function, arguments), daemon=True)
        process.start()
        theirs.close()
        try:
            while isinstance(said := await asyncio.to_thread(line.recv), list):
                told(*said)
            result, (facts, error) = said
            if error is not None:
                raise MandelError.from_dict(error)
            return result, facts
        except (EOFError, OSError) as gone:
            raise RenderError("TASK_LOST", "the process that computed this has ended; ask again") from gone
        finally:
            process.kill()


def _make(line: Connection, device: str) -> None:
    """In a process: a tile maker that does what the line says."""
    maker = TileMaker(device)
    try:
        while True:
            number, method, arguments = line.recv()
            line.send((number, getattr(maker, method)(*arguments)))
    except (EOFError, OSError):
        pass


def _told_by(line: Connection, function: Any, arguments: tuple[Any, ...]) -> None:
    """In a process: a function of ``work``, which tells how far it is. Tiles go before it, as in a cluster."""
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    line.send(function(*arguments, lambda *far: line.send(list(far))))

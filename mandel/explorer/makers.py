"""What the explorer works with, wherever its work is done: tile makers, orbits, minibrots."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self

from mandel.errors import MandelError, RenderError
from mandel.explorer.work import find_nucleus, find_orbit, found_by

_TRIES = 3

Told = Callable[[int, int], object]


class MakerLost(Exception):
    """The process of a maker has ended."""


class Maker(ABC):
    """A tile maker (worker/tile_maker.py) in a process that may be ended at any time.

    Attributes:
        calls: those that it has been given and has not answered, the one that it works on first.
    """

    def __init__(self) -> None:
        self.calls: list[asyncio.Task[Any]] = []
        self._life = 0
        self._start()

    @abstractmethod
    def _start(self) -> None:
        """Starts a process."""

    @abstractmethod
    def _kill(self) -> None:
        """Ends the process."""

    @abstractmethod
    async def _ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the tile maker returns. Raises MakerLost."""

    def begin(self, method: str, *arguments: Any) -> asyncio.Task[Any]:
        """Calls a method."""
        call = asyncio.create_task(self._call(method, *arguments))
        self.calls.append(call)
        call.add_done_callback(self.calls.remove)
        return call

    def stop(self, call: asyncio.Task[Any]) -> bool:
        """Ends a call that it works on, and with it the process; the other calls are made by the next one.

        Returns:
            False if another call comes first.
        """
        if self.calls and self.calls[0] is not call:
            return False
        if not call.done():
            call.cancel()
            self._again()
        return True

    def clear(self) -> None:
        """Ends all calls, and with them the process."""
        for call in self.calls:
            call.cancel()
        self._again()

    @abstractmethod
    def another(self) -> Self:
        """One more on the same machine."""

    def _again(self) -> None:
        self._kill()
        self._life += 1
        self._start()

    async def _call(self, method: str, *arguments: Any) -> Any:
        for _ in range(_TRIES):
            life = self._life
            try:
                result, error = await self._ask(method, *arguments)
            except MakerLost:
                if life == self._life:  # it ended by itself
                    self._again()
            else:
                if error is not None:
                    raise MandelError.from_dict(error)
                return result
        raise RenderError("MAKER_LOST", "what made this tile has ended, time after time")


class Desk:
    """Where long work is done, a piece at a time.

    Attributes:
        calls: those under way.
    """

    def __init__(self) -> None:
        self.calls: list[asyncio.Task[Any]] = []

    def begin(self, act: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> asyncio.Task[Any]:
        """Begins a piece."""
        call = asyncio.create_task(act(*arguments))
        self.calls.append(call)
        call.add_done_callback(self.calls.remove)
        return call

    def stop(self, call: asyncio.Task[Any]) -> bool:
        """Ends a piece."""
        return call.cancel() or True

    def clear(self) -> None:
        """Ends all of them."""
        for call in self.calls:
            call.cancel()

    def another(self) -> Self:
        """One more."""
        return type(self)()


class Pool(ABC):
    """Where the work is done.

    Attributes:
        makers: the tile makers, at least one.
    """

    makers: Sequence[Maker]

    async def orbit(self, *arguments: Any, told: Told) -> tuple[Any, dict[str, Any]]:
        """A handle of a reference orbit, for makers, and what ``find_orbit`` says of it; its arguments."""
        return await self._task(find_orbit, arguments, told)

    async def nucleus(self, *arguments: Any, told: Told) -> dict[str, Any]:
        """What ``find_nucleus`` says; its arguments."""
        return (await self._task(find_nucleus, arguments, told))[1]

    async def apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns, which is so busy that the explorer's own process would stand still."""
        return (await self._task(found_by, (function, arguments), lambda *_: None))[1]["found"]

    @abstractmethod
    async def _task(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], told: Told
    ) -> tuple[Any, dict[str, Any]]:
        """A handle of what a function of ``work`` makes, and what it says of it.

        Raises:
            MandelError: TASK_LOST, or what the function says.
        """

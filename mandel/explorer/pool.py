"""What the explorer has running in the Ray cluster: tile makers, and tasks for orbits and minibrots.

None of it takes a slot, so it starts at once, however many frames wait: what people look at goes before films.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.experimental import internal_kv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import mandel
from mandel.errors import MandelError, RenderError
from mandel.explorer.work import find_nucleus, find_orbit
from mandel.worker.tile_maker import TileMaker

_MOST_MAKERS = 4
_TRIES = 3
_METRICS = "RAY_enable_metrics_collection"  # a series for every task name, for ever
_LOOK_SECONDS = 0.5


class Maker:
    """A tile maker in the cluster.

    Attributes:
        calls: those that it has been given and has not answered, the one that it works on first.
    """

    def __init__(self, node: str, device: str):
        self._node, self._device = node, device
        self.calls: list[asyncio.Task[Any]] = []
        self._start()

    def _start(self) -> None:
        options: dict[str, Any] = {
            "num_cpus": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(self._node, soft=False),
        }
        actor: Any = ray.remote(**options)(TileMaker)
        self._actor = actor.remote(self._device)
        self.warm = self._actor.warm_up.remote()

    def begin(self, method: str, *arguments: Any) -> asyncio.Task[Any]:
        """Calls a method of it."""
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
            ray.kill(self._actor)
            self._start()
        return True

    async def _call(self, method: str, *arguments: Any) -> Any:
        for _ in range(_TRIES):
            actor = self._actor
            try:
                result, error = await getattr(actor, method).remote(*arguments)
            except ray.exceptions.RayActorError:
                if actor is self._actor:
                    self._start()
            else:
                if error is not None:
                    raise MandelError.from_dict(error)
                return result
        raise RenderError("MAKER_LOST", "what made this tile has ended, time after time")


class Pool:
    """A connection to the cluster.

    Args:
        address: HOST:PORT of its control store.
        joined: whether the package must travel to it: the service did not start it.
        device: the setting ``device``.

    Raises:
        RenderError: NO_CLUSTER.
    """

    def __init__(self, address: str, joined: bool, device: str):
        os.environ.setdefault(_METRICS, "0")
        environment: dict[str, Any] = {"env_vars": {_METRICS: os.environ[_METRICS]}}
        if joined:
            package = str(Path(mandel.__file__).parent)
            environment |= {"py_modules": [package], "excludes": ["**/__pycache__/**"]}
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            ray.init(address=address, runtime_env=environment, **quiet)
        except Exception as error:  # Ray raises whatever it likes
            raise RenderError(
                "NO_CLUSTER", f"could not join the cluster at {address}: {type(error).__name__}: {error}"
            ) from error
        self._prefix = f"explorer-{secrets.token_hex(8)}-"
        self._count = 0
        self.makers = [Maker(*place) for place in _places(ray.nodes(), device)]
        if not self.makers:
            raise RenderError("NO_CLUSTER", "the cluster has no machine for tiles now")

    async def warm_up(self) -> None:
        """Waits until a maker is ready.

        Raises:
            MandelError: NO_DEVICE and the like.
        """
        _, error = await self.makers[0].warm
        if error is not None:
            raise MandelError.from_dict(error)

    async def orbit(self, *arguments: Any, told: Callable[[int, int], object]) -> tuple[Any, Any]:
        """A reference orbit: its handle, and what ``find_orbit`` says of it; its arguments but for the last."""
        handle, facts = await self._task(find_orbit, 2, arguments, told)
        return handle, facts

    async def nucleus(self, *arguments: Any, told: Callable[[int, int], object]) -> Any:
        """What ``find_nucleus`` returns; its arguments but for the last."""
        return (await self._task(find_nucleus, 1, arguments, told))[0]

    async def _task(
        self, function: Any, results: int, arguments: tuple[Any, ...], told: Callable[[int, int], object]
    ) -> Any:
        self._count += 1
        key = f"{self._prefix}{self._count}"
        task = ray.remote(num_cpus=0, num_returns=results, max_retries=0)(function)
        found = task.remote(*arguments, key)
        handles = found if isinstance(found, list) else [found]
        waiting = asyncio.wrap_future(handles[-1].future())
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
                if done:
                    break
                if value := internal_kv._internal_kv_get(key.encode()):
                    told(*map(int, value.split()))
            facts, error = waiting.result()
            if error is not None:
                raise MandelError.from_dict(error)
            return *handles[:-1], facts
        except ray.exceptions.RayError as gone:
            raise RenderError("TASK_LOST", "the worker that computed this has ended; ask again") from gone
        finally:
            if not waiting.done():
                waiting.cancel()
                ray.cancel(handles[-1], force=True)
            internal_kv._internal_kv_del(key.encode())


def _places(nodes: list[dict[str, Any]], device: str) -> list[tuple[str, str]]:
    """Where tiles are made, and on which device: GPUs if there are any."""
    there = [(node["NodeID"], node["Resources"]) for node in nodes if node["Alive"]]
    named = device if device not in ("auto", "gpu") else ""
    if device in ("auto", "gpu") and (gpus := [node for node, has in there if has.get("GPU")]):
        return [(node, "gpu") for node in gpus[:_MOST_MAKERS]]
    there.sort(key=lambda node: -node[1].get("CPU", 0))
    return [(node, named or "cpu,auto") for node, _ in there[:_MOST_MAKERS]]

"""The explorer's work in a Ray cluster.

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
from mandel.explorer.makers import Maker, MakerLost, Pool, Told
from mandel.worker.tile_maker import TileMaker

_MOST_MAKERS = 4
_METRICS = "RAY_enable_metrics_collection"  # a series for every task name, for ever
_LOOK_SECONDS = 0.5


class RayMaker(Maker):
    """A tile maker on a node; on another one once that is gone."""

    def __init__(self, node: str, device: str):
        self._node, self._device = node, device
        super().__init__()

    def _start(self) -> None:
        options: dict[str, Any] = {
            "num_cpus": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(self._node, soft=True),
        }
        actor: Any = ray.remote(**options)(TileMaker)
        self._actor = actor.remote(self._device)

    def _kill(self) -> None:
        ray.kill(self._actor)

    def another(self) -> RayMaker:
        """One more on the same node."""
        return RayMaker(self._node, self._device)

    async def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return await getattr(self._actor, method).remote(*arguments)
        except (ray.exceptions.RayActorError, ray.exceptions.ActorUnschedulableError) as gone:
            raise MakerLost from gone


class RayPool(Pool):
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
        self.makers = [RayMaker(*place) for place in _places(ray.nodes(), device)]
        if not self.makers:
            raise RenderError("NO_CLUSTER", "the cluster has no machine for tiles now")

    async def _task(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], told: Told
    ) -> tuple[Any, dict[str, Any]]:
        self._count += 1
        key = f"{self._prefix}{self._count}".encode()
        task = ray.remote(num_cpus=0, num_returns=2, max_retries=0)(_told_by)
        handle, said = task.remote(key, function, *arguments)
        waiting = asyncio.wrap_future(said.future())
        try:
            while not (await asyncio.wait({waiting}, timeout=_LOOK_SECONDS))[0]:
                if value := internal_kv._internal_kv_get(key):
                    told(*map(int, value.split()))
            facts, error = waiting.result()
            if error is not None:
                raise MandelError.from_dict(error)
            return handle, facts
        except ray.exceptions.RayError as gone:
            raise RenderError("TASK_LOST", "the worker that computed this has ended; ask again") from gone
        finally:
            if not waiting.done():
                waiting.cancel()
                ray.cancel(said, force=True)
            internal_kv._internal_kv_del(key)


def _told_by(key: bytes, function: Any, *arguments: Any) -> Any:
    """On a worker: a function of ``work``, which tells how far it is under a key of Ray's store."""

    def tell(done: int, total: int) -> None:
        internal_kv._internal_kv_put(key, f"{done} {total}".encode())

    return function(*arguments, tell)


def _places(nodes: list[dict[str, Any]], device: str) -> list[tuple[str, str]]:
    """Where tiles are made, and on which device: GPUs if there are any."""
    there = [(node["NodeID"], node["Resources"]) for node in nodes if node["Alive"]]
    named = device if device not in ("auto", "gpu") else ""
    if device in ("auto", "gpu") and (gpus := [node for node, has in there if has.get("GPU")]):
        return [(node, "gpu") for node in gpus[:_MOST_MAKERS]]
    there.sort(key=lambda node: -node[1].get("CPU", 0))
    return [(node, named or "cpu,auto") for node, _ in there[:_MOST_MAKERS]]

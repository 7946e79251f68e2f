"""Runs tasks on a Ray cluster. Only this module and ``ray_call`` import ray.

Call ``ray_token.ensure_token`` before importing it.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import pickle
import re
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.experimental import internal_kv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import mandel
from mandel.colour.curve import even_curve
from mandel.colour.mappings import EVEN
from mandel.colour.style import ColourStyle
from mandel.driver.executors import ray_folder
from mandel.driver.executors.ray_cluster import find_cluster
from mandel.driver.recipes.recipe import FRAME, LIMIT, REFERENCE, SEGMENT, VIDEO_BAILOUT
from mandel.errors import RenderError
from mandel.plan.view import View
from mandel.tasks.executor import TASKS_PER_GPU, Outcome, Task, shared_inputs
from mandel.tasks.heartbeats import LEAST_SECONDS, HeartbeatListener
from mandel.tasks.results import bad_result
from mandel.tasks.units import FrameUnit, LimitUnit
from mandel.worker.functions import Slot
from mandel.worker.ray_call import Meter, PackedTask, by_value, heartbeat_key

# Each slot's share of a GPU. A little is left for a task that starts beside full slots.
_GPU_LEFT = 0.01
_GPU_SHARE = (1 - _GPU_LEFT) / TASKS_PER_GPU
_REFRESH_SECONDS = 2.0
_LOOK_SECONDS = 1.0  # between questions to Ray what there is
_CLOSE_SECONDS = 5.0  # for the answer to the last one
# If no task ends and no worker gives a sign of life for so long, although slots are free, Ray does not work any more.
# (A worker's start takes up to a minute on a busy machine; Ray then tries another one.)
_QUIET_SECONDS = 120.0
# Ray 2.60 now and then aborts a process that cancels a task which begins or ends just then ("Tried to
# complete task that was not pending"). Short tasks end by themselves meanwhile.
_GRACE_SECONDS = 1.0
# An interrupt may be lost in a worker (seen: an orbit was computed for minutes after it): it is sent again.
_AGAIN_SECONDS = 2.0
_NODE_IN_TEXT = re.compile(r"[Nn]ode(?: ID|_id)?:? ?([0-9a-f]{56})")

# Ray notices a dead raylet after 15 s, a stopped one after a minute and the death of its control
# store (which ends the driver) after another, unless told to look often.
_WATCH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}
# Ray's own metrics keep a series for every task name for ever, in each process: a driver grew by 15 KB
# a frame, workers and agents too. Only the process that keeps this program's metrics has them on.
_METRICS = "RAY_enable_metrics_collection"
# What the control store keeps of tasks for the dashboard, 3 KB each; Ray's own limit is 100,000.
_TASKS_SHOWN = {"RAY_task_events_max_num_task_in_gcs": "20000"}
# A worker takes seconds to start. The one for tasks beside full slots is started when they are full, and again as long
# as they are: Ray ends workers beyond the number of slots when they were idle for so long (its own limit is a second).
_IDLE_SECONDS = 600
_IDLE_WORKERS = {"RAY_idle_worker_killing_time_threshold_ms": f"{_IDLE_SECONDS}000"}
_LONG_SECONDS = 1.5  # a call that lasts longer has its worker, and no other call gets that
# What a first frame needs: a key view, and itself by either kind of mapping.
_WARM_VIEW = View("0", "0", "2", 32, 18)
_WARM = (
    Task(LIMIT, LimitUnit(_WARM_VIEW, 50, counts_alone=True), label="warm up"),
    *(
        Task(FRAME, FrameUnit(_WARM_VIEW, 50, VIDEO_BAILOUT, style, 1), label="warm up")
        for style in (ColourStyle(), ColourStyle(mapping=EVEN, curve=even_curve([])))
    ),
)


class _Call(NamedTuple):
    """Tasks that were submitted together: their tickets, functions and results' references, in order."""

    tickets: list[int]
    functions: list[str]
    results: list[Any]
    heartbeat: bytes  # the key of its signs of life
    node: str  # beside whose slots it runs, "" in a slot
    begun: float


class _Seen(NamedTuple):
    """What Ray said last that there is: its nodes, and the resources of all together."""

    nodes: list[dict[str, Any]]
    resources: dict[str, float]


def _see() -> _Seen:
    return _Seen(ray.nodes(), ray.cluster_resources())


_PACKAGE = Path(mandel.__file__).parent
_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}


def _join(cluster: str) -> Any:
    # The package travels with the job: workers need only the requirements.
    environment = {
        "py_modules": [str(_PACKAGE)],
        "excludes": ["**/__pycache__/**"],
        "env_vars": {_METRICS: os.environ[_METRICS]},
    }
    return ray.init(address=cluster, runtime_env=environment, **_QUIET)


def _start(folder: str | None) -> Any:
    # Workers inherit the environment: the package is importable wherever the driver ran.
    path = [str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    cores = len(os.sched_getaffinity(0))
    return ray.init(address="local", num_cpus=cores, dashboard_host="127.0.0.1", _temp_dir=folder, **_QUIET)


def _told_by(error: Exception) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts and the error of the outcome of a call that raised ``error``."""
    if not isinstance(error, ray.exceptions.RayError):
        return {}, bad_result(f"{type(error).__name__}: {error}").as_dict()
    if isinstance(error, ray.exceptions.TaskCancelledError):
        return {}, {"code": "CANCELLED", "message": "cancelled"}
    gone = (
        ray.exceptions.NodeDiedError,
        ray.exceptions.LocalRayletDiedError,
        ray.exceptions.ObjectLostError,
        ray.exceptions.TaskUnschedulableError,
    )
    text = str(error)
    node = _NODE_IN_TEXT.search(text)
    message = f"{type(error).__name__}: {text.strip().splitlines()[0] if text.strip() else ''}"
    code = "NODE_LOST" if isinstance(error, gone) else "WORKER_LOST"
    return {"node": node.group(1)} if node else {}, {"code": code, "message": message}


class RayExecutor:
    """Tasks on every CPU and GPU of a Ray cluster.

    Args:
        address: as ``find_cluster`` takes it.
        device: the setting ``device``: ``auto`` uses CPUs and GPUs, ``cpu`` and
            ``gpu`` only those, anything else names the device on every worker.

    Attributes:
        joined: whether it joined a cluster, and did not start Ray.
        address, dashboard: where its control store and its dashboard are.
        notice: what a person should know about its start; usually "".

    Raises:
        RenderError: NO_CLUSTER.
    """

    def __init__(self, address: str = "auto", device: str = "auto"):
        for name, value in {**_WATCH, **_TASKS_SHOWN, **_IDLE_WORKERS, _METRICS: "0"}.items():
            os.environ.setdefault(name, value)
        cluster = find_cluster(address)
        folder, self.notice = (None, "") if cluster else ray_folder.choose()
        try:
            context = _join(cluster) if cluster else _start(str(folder) if folder else None)
        except Exception as error:  # when a node takes too long to start, Ray raises just that
            where = f"join the Ray cluster at {cluster}" if cluster else "start Ray here"
            raise RenderError(
                "NO_CLUSTER",
                f"could not {where}: {type(error).__name__}: {error}. A cluster needs the same Ray and Python "
                "version and the same token (~/.ray/auth_token) everywhere.",
                field="address",
            ) from error
        self.joined = cluster is not None
        self.address = context.address_info["gcs_address"]
        self.dashboard = context.dashboard_url or ""
        self._node = ray.get_runtime_context().get_node_id()
        self._device = device
        self._remote = ray.remote(num_returns=2, max_retries=0, max_calls=0)(by_value())
        self._session = context.address_info["session_dir"]
        self._sockets = [
            context.address_info[name] for name in ("raylet_socket_name", "object_store_address")
        ]
        self._tickets = itertools.count(1)
        self._heartbeats = HeartbeatListener(self._read)
        self._running: dict[Any, _Call] = {}  # by the ref of the facts
        self._prefix = f"mandel-{secrets.token_hex(8)}-"
        self._meter: Any = None
        if self.joined or os.environ[_METRICS] == "1":
            options: dict[str, Any] = {
                "num_cpus": 0,
                "max_restarts": -1,
                "runtime_env": {"env_vars": {_METRICS: "1"}},
            }
            self._meter = ray.remote(**options)(Meter).remote()
        # When, by node, and whether a worker was busy beside its slots.
        self._warmed: dict[tuple[str, bool], float] = {}
        self._unwanted: dict[int, float] = {}  # tickets to be cancelled, and from when on
        self._seconds: list[float] = []  # of frames and segments not yet counted
        self._segments = 0
        self._refreshed = 0.0
        self._seen = _see()
        self._closed = threading.Event()
        self._trouble: Exception | None = None  # what was wrong with the last answer
        self._watch = threading.Thread(target=self._look, name="mandel-nodes", daemon=True)
        self._watch.start()
        if not self.slots():
            self.close()
            raise RenderError(
                "NO_DEVICE",
                "no node of the cluster has a GPU that Ray knows of; use --device auto or cpu, or start the node "
                "that has one with --num-gpus",
                field="device",
            )

    def _look(self) -> None:
        """Asks Ray again and again what there is, on a thread: the driver's loop does not wait for its answers."""
        while not self._closed.wait(_LOOK_SECONDS) and self._trouble is None:
            try:
                self._check_folder()
                self._seen = _see()
                if any(node["NodeID"] == self._node and not node["Alive"] for node in self._seen.nodes):
                    # Ray would let this process live, but every further task would wait for ever.
                    raise RenderError("NODE_LOST", "the Ray node of the driver died")
            except Exception as error:
                self._trouble = error

    def _now(self) -> dict[str, float]:
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            if self._meter is not None:
                queue = sum(len(call.tickets) for call in self._running.values())
                self._meter.tell.remote(self._seconds, self._segments, queue)
            self._seconds, self._segments = [], 0
            self._warm_up()
        return self._seen.resources

    def slots(self) -> dict[str, int]:
        resources = self._now()
        slots = {}
        if self._device != "gpu":
            slots["cpu"] = int(resources.get("CPU", 0))
        if self._device in ("auto", "gpu"):
            slots["gpu"] = int(resources.get("GPU", 0)) * TASKS_PER_GPU
        return {kind: count for kind, count in slots.items() if count}

    def _warm_up(self) -> None:
        """Where slots are full, starts one more worker on each node that has no spare one.

        Another one once that has worked beside the slots for a while: it is not free at once when its task makes way.
        """
        if (
            len(self._running) < self._seen.resources.get("CPU", 0)
            or self._device == "gpu"
            or not self._running
        ):
            return
        now = time.monotonic()
        beside = {call.node for call in self._running.values() if now - call.begun > _LONG_SECONDS}
        for node in self.nodes():
            spare = node["id"], node["id"] in beside
            due = now - self._warmed.get(spare, -math.inf) > 0.9 * _IDLE_SECONDS
            if due and node["alive"] and node["resources"].get("CPU"):
                self._warmed[spare] = now
                self._start_call([replace(task, node=node["id"]) for task in _WARM], [0] * len(_WARM))

    def memory(self) -> int:
        return int(self._now().get("object_store_memory", 1 << 30))

    def nodes(self) -> list[dict[str, Any]]:
        """As the interface says, as of a moment ago.

        Raises RenderError NODE_LOST when this process's own node died, RAY_LOST; and what Ray raised.
        """
        if self._trouble is not None:
            raise self._trouble
        return [
            {
                "id": node["NodeID"],
                "host": node["NodeManagerHostname"],
                "address": node["NodeManagerAddress"],
                "alive": node["Alive"],
                "resources": {k: v for k, v in node["Resources"].items() if k in ("CPU", "GPU", "memory")},
            }
            for node in self._seen.nodes
        ]

    def submit(self, batch: Sequence[Task]) -> list[int]:
        tickets = list(itertools.islice(self._tickets, len(batch)))
        *results, facts = self._start_call(batch, tickets)
        if not self._running:
            self._heartbeats.note()
        key = heartbeat_key(self._key(tickets[0]))
        self._running[facts] = _Call(
            list(tickets), [task.function for task in batch], results, key, batch[0].node, time.monotonic()
        )
        return tickets

    def _start_call(self, batch: Sequence[Task], tickets: Sequence[int]) -> list[Any]:
        """References of the results, and of the facts."""
        first = batch[0]
        needs: dict[str, Any]
        if first.kind == "gpu":
            slot, needs = (
                Slot("gpu"),
                {"num_cpus": 0, "num_gpus": _GPU_LEFT if first.node else _GPU_SHARE},
            )
        else:
            # A node whose OpenCL knows no CPU lends its GPU to these tasks as well.
            named = self._device if self._device not in ("auto", "gpu") else "cpu,auto"
            slot, needs = Slot(named, 1), {"num_cpus": 0 if first.node else 1}
        if memory := max(task.memory for task in batch):
            needs["memory"] = memory
        if first.node:
            needs["scheduling_strategy"] = NodeAffinitySchedulingStrategy(first.node, soft=False)
        elif first.avoid:
            needs["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(first.avoid))})"}
        inputs, places = shared_inputs(batch)
        asked = [
            PackedTask(
                task.function,
                task.argument,
                own,
                task.label or task.function,
                task.failures,
                task.call_seconds,
                self._key(ticket),
            )
            for ticket, task, own in zip(tickets, batch, places, strict=True)
        ]
        more = f" and {len(asked) - 1} more" if len(asked) > 1 else ""
        remote = self._remote.options(name=asked[0].label + more, num_returns=len(asked) + 1, **needs)
        references: list[Any] = remote.remote(pickle.dumps((asked, slot)), *inputs)
        return references

    def _key(self, ticket: int) -> bytes:
        """The key in the control store under which a running task tells how far it is."""
        return f"{self._prefix}{ticket}".encode()

    def wait(self, timeout: float) -> list[Outcome]:
        if not self._running:
            time.sleep(timeout)
            return []
        waiting = list(self._running)
        ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout)
        if ready:  # and whatever else has ended by now
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        outcomes = [outcome for ref in ready for outcome in self._outcomes(ref)]
        self._cancel()
        if outcomes:
            self._heartbeats.note()
        self._listen()
        return outcomes

    def _listen(self) -> None:
        """Reads the signs of life of all calls; raises RenderError RAY_LOST if none came for too long."""
        self._heartbeats.listen([call.heartbeat for call in self._running.values()])
        if self._heartbeats.quiet > _QUIET_SECONDS and self._running:
            self._heartbeats.note()  # else asked again and again
            # A cluster that we joined may be busy with others' work: then our calls only wait.
            if not self.joined or any(ray.available_resources().get(kind, 0) >= 1 for kind in ("CPU", "GPU")):
                raise RenderError(
                    "RAY_LOST",
                    f"Ray does not work any more: no task has ended and no worker was heard for "
                    f"{_QUIET_SECONDS:g} s, though {len(self._running)} calls wait",
                )

    def _read(self, keys: list[bytes]) -> dict[bytes, bytes]:
        try:
            signs: dict[bytes, bytes] = internal_kv.internal_kv_get_gcs_client().internal_kv_multi_get(
                keys, None
            )
            return signs
        except Exception:  # the control store is away; it comes back, or Ray ends this process
            return {}

    def _check_folder(self) -> None:
        if (gone := ray_folder.missing(self._session, self._sockets)) is not None:
            raise RenderError("RAY_LOST", f"Ray cannot work any more: {gone} was removed")

    def heard(self, tickets: Iterable[int]) -> dict[int, float]:
        wanted = set(tickets)
        calls = [call for call in self._running.values() if not wanted.isdisjoint(call.tickets)]
        ages = [(call, self._heartbeats.age(call.heartbeat)) for call in calls]
        return {ticket: age for call, age in ages if age is not None for ticket in call.tickets}

    def _outcomes(self, ref: Any) -> list[Outcome]:
        call = self._running.pop(ref)
        for ticket, function in zip(call.tickets, call.functions, strict=True):
            self._unwanted.pop(ticket, None)
            if function == REFERENCE:
                internal_kv._internal_kv_del(self._key(ticket))
        self._heartbeats.forget(call.heartbeat)
        try:
            facts = ray.get(ref)
            outcomes = [
                Outcome(ticket, None if about.get("error") else result, about, about.pop("error", None))
                for ticket, result, about in zip(call.tickets, call.results, facts, strict=True)
            ]
            seconds = [outcome.info["seconds"] for outcome in outcomes]
        except Exception as error:  # of Ray, or of whoever makes sense of what a worker returned
            internal_kv._internal_kv_del(call.heartbeat)
            self._check_folder()  # workers fail by the dozen when it was removed
            about, told = _told_by(error)
            return [Outcome(ticket, None, {} if n else about, told) for n, ticket in enumerate(call.tickets)]
        if sum(seconds) > LEAST_SECONDS / 2:
            internal_kv._internal_kv_del(call.heartbeat)
        for function, outcome in zip(call.functions, outcomes, strict=True):
            if outcome.error is None and function == FRAME:
                self._seconds.append(outcome.info["seconds"])
            self._segments += outcome.error is None and function == SEGMENT
        return outcomes

    def progress(self, ticket: int) -> tuple[int, int] | None:
        value = internal_kv._internal_kv_get(self._key(ticket))
        if not value:
            return None
        done, total = map(int, value.split())
        return done, total

    def fetch(self, handle: Any) -> Any:
        """The result behind a handle.

        Raises:
            RenderError: NODE_LOST when its node is gone, BAD_RESULT when it cannot be unpickled.
        """
        try:
            return ray.get(handle)
        except Exception as error:
            if not isinstance(error, ray.exceptions.RayError):
                raise bad_result(f"{type(error).__name__}: {error}") from error
            raise RenderError("NODE_LOST", f"a result was lost: {type(error).__name__}") from error

    def publish(self, value: Any) -> Any:
        return ray.put(value)

    def cancel(self, ticket: int) -> None:
        """As the interface says, but ``wait`` does it a little later: tasks about to end are left alone."""
        self._unwanted[ticket] = time.monotonic() + _GRACE_SECONDS

    def _cancel(self) -> None:
        """Ends the calls whose tasks have all been cancelled for a while."""
        if not self._unwanted:
            return
        now = time.monotonic()
        unwanted: dict[int, float] = {}  # tickets that had ended when they were cancelled are forgotten
        for ref, call in self._running.items():
            since = [unwanted.setdefault(t, self._unwanted[t]) for t in call.tickets if t in self._unwanted]
            if len(since) == len(call.tickets) and max(since) < now:
                ray.cancel(ref, force=False)
                unwanted |= dict.fromkeys(call.tickets, now + _AGAIN_SECONDS)
        self._unwanted = unwanted

    def close(self) -> None:
        self._closed.set()
        self._watch.join(_CLOSE_SECONDS)
        ray.shutdown()

"""Random jobs on random clusters that fail at random, in virtual time: none stalls, nothing is lost or made twice.

The cluster below is Ray's as far as the scheduler sees it: nodes with CPUs and GPUs, calls that wait for a
slot on a node they do not avoid, objects that are gone with their node and with their last handle.
"""

import hashlib
import heapq
import itertools
import json
import random
import weakref
from collections import Counter, deque
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from mandel.cluster import job as job_module
from mandel.cluster import scheduler as scheduler_module
from mandel.cluster import stragglers as stragglers_module
from mandel.cluster.executor import Outcome
from mandel.cluster.job import Job
from mandel.cluster.scheduler import Scheduler
from mandel.errors import RenderError
from mandel.payload import parse
from mandel.plan.autoiter import Limit
from mandel.plan.segments import cut
from mandel.protocol.strict_json import loads
from mandel.settings import Limits

GRACE = 1.0
PER_GPU = 3


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class Handle:
    """An object in the store; gone when nobody holds on to it."""

    def __init__(self, label, node, size, store):
        self.label, self.node = label, node
        store.bytes += size
        store.most = max(store.most, store.bytes)
        weakref.finalize(self, store.free, size)


class Store:
    bytes = most = 0

    def free(self, size):
        self.bytes -= size


class Cluster:
    """An executor.

    Args:
        nodes: CPUs and GPUs of each.
        faults: chances by name: ``worker`` and ``error`` a task, ``hang`` a call, ``node`` a second.
    """

    def __init__(self, rng, clock, nodes, memory, faults):
        self.rng, self.clock, self.size, self.faults = rng, clock, memory, faults
        self.alive, self.free, self.ids = {}, {}, itertools.count()
        for cpus, gpus in nodes:
            self.join(cpus, gpus)
        self.tickets, self.turns = itertools.count(1), itertools.count()
        self.waiting, self.running, self.ends, self.outcomes = deque(), {}, [], []
        self.live, self.unwanted = {}, {}
        self.store, self.paces = Store(), {}
        self.joining, self.looked = [], clock.now
        self.again = 0  # tasks started while another one made the same

    # What the scheduler sees

    def slots(self):
        total = Counter()
        for slots in self.alive.values():
            total.update(slots)
        return {kind: count for kind, count in sorted(total.items()) if count}

    def memory(self):
        return self.size

    def nodes(self):
        return [{"id": node, "alive": True, "resources": {kind.upper(): n for kind, n in slots.items() if n}}
                for node, slots in self.alive.items()]

    def submit(self, together):
        tickets = list(itertools.islice(self.tickets, len(together)))
        assert len({task.kind for task in together}) == 1
        assert len(together) == 1 or {task.function for task in together} == {"frame"}
        for ticket, task in zip(tickets, together):
            wanted = [other.label for old, other in self.live.items() if old not in self.unwanted]
            self.again += task.label in wanted
            self.live[ticket] = task
        self.waiting.append((tickets, together))
        return tickets

    def wait(self, timeout):
        until = self.clock.now + timeout
        self._start()
        while not self.outcomes and self.clock.now < until:
            at = self.ends[0][0] if self.ends else until
            self.clock.now = max(self.clock.now, min(at, until))
            self.strike()
            while self.ends and self.ends[0][0] <= self.clock.now:
                self._end(heapq.heappop(self.ends)[1])
            self._start()
        self._cancel()
        outcomes, self.outcomes = self.outcomes, []
        for outcome in outcomes:
            self.live.pop(outcome.ticket, None)
            self.unwanted.pop(outcome.ticket, None)
        return outcomes

    def progress(self, ticket):
        return None

    def fetch(self, handle):
        if handle.node not in self.alive:
            raise RenderError("NODE_LOST", "a result was lost")
        if " limit " in handle.label:
            return Limit(1000, True)
        return np.zeros(8, np.uint8)

    def publish(self, value):
        return Handle(value.tobytes()[:32].strip(b"\0").decode(), next(iter(self.alive)), value.nbytes, self.store)

    def cancel(self, ticket):
        if ticket in self.live:  # as the one on Ray, it may be too late
            self.unwanted[ticket] = self.clock.now + GRACE

    # What happens

    def join(self, cpus, gpus):
        node = f"n{next(self.ids)}"
        self.alive[node] = {"cpu": cpus, "gpu": gpus * PER_GPU}
        self.free[node] = dict(self.alive[node])

    def _start(self):
        for _ in range(len(self.waiting)):
            tickets, together = self.waiting.popleft()
            kind, avoid = together[0].kind, together[0].avoid
            nodes = [n for n, free in self.free.items() if free[kind] and n not in avoid]
            if not nodes:
                self.waiting.append((tickets, together))
                continue
            if any(h.node not in self.alive for task in together for h in task.inputs):
                self._all(tickets, "NODE_LOST")
                continue
            node, turn = self.rng.choice(nodes), next(self.turns)
            self.free[node][kind] -= 1
            self.running[turn] = node, tickets, together
            if self.rng.random() >= self.faults["hang"]:
                seconds = sum(self._seconds(task) for task in together)
                heapq.heappush(self.ends, (self.clock.now + seconds + 0.01, turn))

    def _seconds(self, task):
        like = task.label.split()[0], task.function, task.kind
        if like not in self.paces:
            self.paces[like] = 10 ** self.rng.uniform(-3, 0.5) * (10 if task.kind == "cpu" else 1)
        return self.paces[like] * self.rng.uniform(0.8, 1.2)

    def _end(self, turn):
        if (call := self.running.pop(turn, None)) is None:
            return
        node, tickets, together = call
        self.free[node][together[0].kind] += 1
        if self.rng.random() < self.faults["worker"] * len(together):
            self._all(tickets, "WORKER_LOST", node)
            return
        failed = False
        for ticket, task in zip(tickets, together):
            about, error = {"node": node, "seconds": self._seconds(task), "cpu_seconds": 0.0, "host": node,
                            "device": "none"}, None
            if failed:
                error = {"code": "HANDED_BACK", "message": "injected"}
            elif self.rng.random() < self.faults["error"]:
                failed, error = True, {"code": "INTERNAL", "message": "injected"}
            handle = None if error else self._make(task, node)
            self.outcomes.append(Outcome(ticket, handle, about, error))

    def _make(self, task, node):
        unit, size = task.argument, 100
        if task.function == "frame":
            size = FRAME_BYTES
        elif task.function == "strip":
            size = unit.layout.size * 4
        return Handle(task.label, node, size, self.store)

    def _all(self, tickets, code, node=None):
        for n, ticket in enumerate(tickets):
            about = {"node": node} if node and not n else {}
            self.outcomes.append(Outcome(ticket, None, about, {"code": code, "message": "injected"}))

    def strike(self):
        for at, node in [j for j in self.joining if j[0] <= self.clock.now]:
            self.joining.remove((at, node))
            self.join(*node)
        passed, self.looked = self.clock.now - self.looked, self.clock.now
        if len(self.alive) > 1 and self.rng.random() < min(0.5, self.faults["node"] * passed):
            node = self.rng.choice(list(self.alive))
            slots = self.alive.pop(node)
            del self.free[node]
            gpus = slots["gpu"] // PER_GPU if self.rng.random() < 0.7 else 0  # the GPUs may be gone for good
            self.joining.append((self.clock.now + self.rng.uniform(1, 60), (max(1, slots["cpu"]), gpus)))
            for turn, (where, tickets, _) in list(self.running.items()):
                if where == node:
                    del self.running[turn]
                    self._all(tickets, "NODE_LOST")

    def _cancel(self):
        def over(tickets):
            return all(self.unwanted.get(ticket, self.clock.now) < self.clock.now for ticket in tickets)

        for turn, (node, tickets, together) in list(self.running.items()):
            if over(tickets):
                del self.running[turn]
                self.free[node][together[0].kind] += 1
                self._all(tickets, "CANCELLED")
        for call in [call for call in self.waiting if over(call[0])]:
            self.waiting.remove(call)
            self._all(call[0], "CANCELLED")


class Pictures:
    """A job's cache, in which an earlier driver left some pictures; some are damaged."""

    def __init__(self, name, rng):
        self.name, self.rng = name, rng

    def get(self, key):
        if not key.endswith(".yuv") or self.rng.random() < 0.7:
            return None
        frame = key.removeprefix(f"{self.name}-").removesuffix(".yuv")
        data = f"{self.name} frame {frame}".encode().ljust(FRAME_BYTES, b"\0")
        return (hashlib.sha256(data).digest() if self.rng.random() < 0.9 else bytes(32)) + data

    def put(self, key, data):
        pass

    def remove(self, key):
        pass


class Films:
    """In place of the finisher: a job's video is there as soon as its segments are."""

    def __init__(self, wake):
        self._over, self.active = [], False

    def look_at(self, job):
        if len(job.paths) == len(job.segments):
            done = Future()
            done.set_result({})
            self._over.append((job.name, done))

    def ended(self):
        over, self._over = self._over, []
        return over

    def forget(self, name):
        pass

    def close(self):
        pass


SIDES = 64, 36
FRAME_BYTES = 64 * 36 * 3 // 2


def payload(rng):
    """Any job: exact or shared, deep or not, inwards or outwards, of one frame or many."""
    deep, auto = rng.random() < 0.3, rng.random() < 0.3
    fields = {
        "num_frames": rng.choice((1, 2, 7, rng.randint(1, 40), rng.randint(1, 250))),
        "frame_width": SIDES[0], "frame_height": SIDES[1], "sampling": rng.choice(("exact", "shared")),
        "start_delta": "3", "end_delta": "1e-20" if deep else rng.choice(("3", "1e-2", "1e-6")),
        "maxiter": "auto" if auto else 500, "easing": rng.choice(("0", "0.5", "1")),
        "rotation": rng.choice(("0", "90")),
    }
    if rng.random() < 0.3:
        fields["start_delta"], fields["end_delta"] = fields["end_delta"], fields["start_delta"]
    return parse(loads(json.dumps(fields).encode()), Limits())


FAULTS = {
    "none": {"worker": 0, "error": 0, "hang": 0, "node": 0},
    "workers": {"worker": 0.01, "error": 0.01, "hang": 0, "node": 0},
    "nodes": {"worker": 0.002, "error": 0, "hang": 0, "node": 0.01},
    "hangs": {"worker": 0, "error": 0, "hang": 0.005, "node": 0},
}


class World:
    def __init__(self, seed, faults, tmp, monkeypatch, memory=None):
        self.rng, self.clock, self.tmp = random.Random(seed), Clock(), tmp
        for module in (job_module, scheduler_module, stragglers_module):
            monkeypatch.setattr(module, "time", self.clock)
        monkeypatch.setattr(scheduler_module, "Finisher", Films)
        rng = self.rng
        nodes = [(rng.choice((0, 1, 2, 8)), rng.choice((0, 0, 1, 2))) for _ in range(rng.randint(1, 4))]
        nodes[0] = (rng.randint(1, 8), nodes[0][1])
        memory = memory or int(10 ** rng.uniform(6, 8.5))
        self.cluster = Cluster(rng, self.clock, nodes, memory, FAULTS[faults])
        self.events, self.to_adopt, self.jobs, self.finished = [], [], {}, {}
        self.late = self.largest = 0
        self.cluster.submit = self._submit
        self.scheduler = Scheduler(self.cluster, self._told)

    def _told(self, event):
        self.events.append(event)
        self.late += "started once more" in event.get("message", "")
        if event["event"] == "segment":
            self.to_adopt.append((event["job"], event["index"], event["path"]))

    def _submit(self, together):
        for task in together:
            name, kind, index = task.label.split()
            if kind == "segment":
                frames = self.jobs[name].segments[int(index)].frames
                assert [handle.label for handle in task.inputs] == [f"{name} frame {frame}" for frame in frames]
        return type(self.cluster).submit(self.cluster, together)

    def add(self, name):
        shape, rng = payload(self.rng), self.rng
        segments = cut(shape.num_frames, FRAME_BYTES)
        finished = {s.index: Path("there") for s in segments if rng.random() < 0.2} if rng.random() < 0.2 else {}
        cache = Pictures(name, rng) if rng.random() < 0.2 else None
        made = Job(name, shape, self.tmp, finished, rng.choice((0, 0, 1, -1)), cache, rng.choice("abc"))
        self.jobs[name], self.finished[name] = made, set(finished)
        self.largest = max(self.largest, made.held_bytes + segments[0].count * FRAME_BYTES)
        self.scheduler.add(made)

    def disturb(self):
        """A client thinks better of it, now and then; a job that was cancelled may come again at once."""
        if self.rng.random() < 0.01 and (running := list(self.scheduler._jobs)):
            name = self.rng.choice(running)
            if self.rng.random() < 0.5:
                self.scheduler.change(name, self.rng.choice((-1, 2)), self.rng.choice("abcd"))
                return
            self.scheduler.cancel(name)
            self.to_adopt = [known for known in self.to_adopt if known[0] != name]
            self.events = [event for event in self.events if event.get("job") != name]
            self.add(name)

    def step(self):
        self.scheduler.step(0.2)
        self.disturb()
        if not self.scheduler.tasks:
            self.clock.now += 0.2
            self.cluster.strike()
        while self.to_adopt and self.rng.random() < 0.7:
            name, index, path = self.to_adopt.pop(0)
            self.scheduler.adopted(name, index, Path(path))

    def run(self):
        idle, until = 0, self.clock.now + 5000
        while self.scheduler.busy or self.scheduler.tasks:
            self.step()
            idle = 0 if self.scheduler.tasks or self.to_adopt else idle + 1
            assert idle < 500 and self.clock.now < until, (self.cluster.slots(), [
                (job.name, job.payload, job.frames_left, job.pace, job.blamed) for job in self.jobs.values()])

    def of(self, name, *kinds):
        return [event for event in self.events if event["event"] in kinds and event.get("job") == name]


@pytest.mark.parametrize("seed", (*range(6), 1193, 1215))
@pytest.mark.parametrize("faults", FAULTS)
def test_every_job_ends_and_every_frame_is_in_one_segment(seed, faults, tmp_path, monkeypatch):
    world = World(seed, faults, tmp_path, monkeypatch)
    for number in range(world.rng.choice((1, 2, 5))):
        world.add(f"j{number}")
        for _ in range(world.rng.choice((0, 10))):
            world.step()
    world.run()
    for name, job in world.jobs.items():
        (end,) = world.of(name, "video", "failed")
        assert end["event"] == "video" or faults == "workers" and "failed 3 times" in end["message"], end
        if end["event"] == "video":
            made = sorted(event["index"] for event in world.of(name, "segment"))
            assert made == sorted({segment.index for segment in job.segments} - world.finished[name])
    assert world.cluster.again <= world.late
    # What was cancelled holds on to its inputs a little longer.
    assert world.cluster.store.most <= 0.8 * world.cluster.memory() + world.largest
    world.scheduler.close()
    assert not world.cluster.live and not world.cluster.unwanted

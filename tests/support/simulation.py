"""A cluster in virtual time, Ray's as far as the scheduler sees it.

Nodes with CPUs and GPUs, calls that wait for a slot on a node they do not avoid,
objects that are gone with their node and with their last handle.
"""

import heapq
import itertools
import weakref
from collections import Counter, deque

import numpy as np

from mandel.errors import RenderError
from mandel.plan.cost import Costs, KeyCost
from mandel.plan.iteration_limit import IterationLimit
from mandel.tasks.executor import Outcome

SIDES = 64, 36
FRAME_BYTES = 64 * 36 * 3 // 2
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
        self.suspected = set()  # what is started once more because it takes long, until that is submitted
        self.copies, self.busy, self.wasted = (
            set(),
            0.0,
            0.0,
        )  # their tickets; slot seconds of all calls, and of these
        self.begun = {}  # when, by turn
        self.call_seconds = 0.01  # that each call takes beside its tasks
        self.hung = set()
        self.tried = {}  # how many of its tasks, by turn

    # What the scheduler sees

    def slots(self):
        total = Counter()
        for slots in self.alive.values():
            total.update(slots)
        return {kind: count for kind, count in sorted(total.items()) if count}

    def memory(self):
        return self.size

    def nodes(self):
        return [
            {"id": node, "alive": True, "resources": {kind.upper(): n for kind, n in slots.items() if n}}
            for node, slots in self.alive.items()
        ]

    def submit(self, batch):
        tickets = list(itertools.islice(self.tickets, len(batch)))
        assert len({task.kind for task in batch}) == 1
        assert len({task.function for task in batch}) == 1 or batch[0].node
        for ticket, task in zip(tickets, batch):
            wanted = [other.label for old, other in self.live.items() if old not in self.unwanted]
            self.again += task.label in wanted and not task.node
            if task.label in self.suspected:
                self.suspected.remove(task.label)
                self.copies.add(ticket)
            self.live[ticket] = task
        self.waiting.append((tickets, batch))
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

    def heard(self, tickets):
        wanted, signs = set(tickets), {}
        for turn, (_, there, _) in self.running.items():
            if turn not in self.hung and self.clock.now - self.begun[turn] > 3:
                signs |= dict.fromkeys(wanted.intersection(there), 2.0)
        return signs

    def fetch(self, handle):
        if handle.node not in self.alive:
            raise RenderError("NODE_LOST", "a result was lost")
        if " costs " in handle.label:
            return Costs((KeyCost(0.0, 1e-6),))
        if " limit " in handle.label:
            return IterationLimit(1000, True)
        return np.zeros(8, np.uint8)

    def publish(self, value):
        return Handle(
            value.tobytes()[:32].strip(b"\0").decode(), next(iter(self.alive)), value.nbytes, self.store
        )

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
            tickets, batch = self.waiting.popleft()
            kind, avoid, beside = batch[0].kind, batch[0].avoid, batch[0].node
            if beside and beside not in self.alive:
                self._all(tickets, "NODE_LOST")
                continue
            nodes = (
                [beside] if beside else [n for n, free in self.free.items() if free[kind] and n not in avoid]
            )
            if not nodes:
                self.waiting.append((tickets, batch))
                continue
            if any(h.node not in self.alive for task in batch for h in task.inputs):
                self._all(tickets, "NODE_LOST")
                continue
            node, turn = self.rng.choice(nodes), next(self.turns)
            self.free[node][kind] -= not beside
            self.running[turn], self.begun[turn] = (node, tickets, batch), self.clock.now
            if self.rng.random() < self.faults["hang"]:
                self.hung.add(turn)
            else:
                seconds, self.tried[turn] = 0.0, 0
                for task in batch:
                    if self.tried[turn] and seconds >= task.call_seconds:
                        break
                    seconds += self._seconds(task)
                    self.tried[turn] += 1
                heapq.heappush(self.ends, (self.clock.now + seconds + self.call_seconds, turn))

    def _seconds(self, task):
        like = task.label.split()[0], task.function, task.kind
        if like not in self.paces:
            self.paces[like] = 10 ** self.rng.uniform(-3, 0.5) * (10 if task.kind == "cpu" else 1)
        deeper = self.faults.get("deeper", 1) ** int(task.label.split()[2])
        return self.paces[like] * self.rng.uniform(0.8, 1.2) * min(deeper, 100)

    def _end(self, turn):
        if (call := self.running.pop(turn, None)) is None:
            return
        node, tickets, batch = call
        self._count(turn, tickets)
        self.free[node][batch[0].kind] += not batch[0].node
        if self.rng.random() < self.faults["worker"] * len(batch):
            self._all(tickets, "WORKER_LOST", node)
            return
        failed = False
        for place, (ticket, task) in enumerate(zip(tickets, batch)):
            about, error = (
                {
                    "node": node,
                    "seconds": self._seconds(task),
                    "cpu_seconds": 0.0,
                    "host": node,
                    "device": "none",
                },
                None,
            )
            if failed or place >= self.tried[turn]:
                error = {"code": "RETURNED_UNTRIED", "message": "injected"}
            elif self.rng.random() < self.faults["error"]:
                failed, error = True, {"code": "INTERNAL", "message": "injected"}
            handle = None if error else self._make(task, node)
            self.outcomes.append(Outcome(ticket, handle, about, error))

    def _count(self, turn, tickets):
        seconds = self.clock.now - self.begun[turn]
        self.busy += seconds
        self.wasted += seconds * any(ticket in self.copies for ticket in tickets)

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

        for turn, (node, tickets, batch) in list(self.running.items()):
            if over(tickets):
                del self.running[turn]
                self._count(turn, tickets)
                self.free[node][batch[0].kind] += not batch[0].node
                self._all(tickets, "CANCELLED")
        for call in [call for call in self.waiting if over(call[0])]:
            self.waiting.remove(call)
            self._all(call[0], "CANCELLED")

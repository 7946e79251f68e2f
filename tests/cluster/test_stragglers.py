"""Tasks that hang are started once more, and only those."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

from mandel.cluster import stragglers
from mandel.cluster.executor import Outcome, Task
from mandel.cluster.in_flight import InFlight
from mandel.cluster.job import Job
from mandel.cluster.recipe import FRAME, SEGMENT, Grade, Item
from mandel.cluster.scheduler import Scheduler
from tests.cluster.test_scheduler import Events, Faulty, payload


class Clock:
    """Time as the test tells it."""

    now = 1000.0

    def monotonic(self):
        return self.now


def test_a_task_is_late_by_the_measure_of_its_like(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stragglers, "time", clock)
    watch = stragglers.Stragglers()
    for ticket in range(3):
        watch.begun(ticket, "j", "frame", "cpu")
    watch.ended(0, 4.0)
    clock.now += 19
    assert watch.late({"cpu": 2}) == []
    clock.now += 2
    assert watch.late({"cpu": 2}) == [1, 2]  # five times four seconds have passed, and slots are idle
    clock.now += 2
    for ticket in (3, 4):
        watch.begun(ticket, "j", "frame", "cpu")
    assert watch.late({"cpu": 2}) == []  # two others may be what keeps them from a slot
    clock.now += 100
    assert watch.late({"cpu": 2}) == [1, 2, 3, 4]
    for ticket in (1, 3, 4):
        watch.ended(ticket)
    watch.ended(2)
    watch.begun(5, "j", "frame", "cpu", 1)
    clock.now += 79
    assert watch.late({"cpu": 2}) == []  # a copy is given four times as long
    clock.now += 2
    assert watch.late({"cpu": 2}) == [5]
    watch.begun(6, "other", "frame", "gpu")
    clock.now += 100
    assert 6 not in watch.late({"cpu": 2, "gpu": 2})  # nobody knows yet what its like takes


def test_a_task_that_never_ends_is_started_once_more(tmp_path, monkeypatch):
    monkeypatch.setattr(stragglers, "_IDLE", (0.0, 0.2))
    monkeypatch.setattr(stragglers, "_BUSY", (0.0, 1e9))
    monkeypatch.setattr(stragglers, "_LOOK_SECONDS", 0.0)
    swallowed, late = [], []

    class Swallowing(Faulty):
        def wait(self, timeout):
            outcomes = super().wait(timeout)
            for outcome in outcomes:
                if self.tasks[outcome.ticket].label == "j frame 4" and not swallowed:
                    swallowed.append(outcome)
            return [o for o in outcomes if o not in swallowed] + late

    executor, events = Swallowing(lambda task: None), Events()
    scheduler = events.scheduler = Scheduler(executor, events)
    scheduler.add(Job("j", payload(), tmp_path, {}))
    while scheduler.busy:
        scheduler.step(0.05)
        if any(e["event"] == "frame" and e["frame"] == 4 for e in events.all):
            late[:] = [Outcome(swallowed[0].ticket, None, {}, {"code": "INTERNAL", "message": "too late"})]
    scheduler.close()
    executor.close()
    assert events.of("video") and not events.of("failed")
    assert sum(task.label == "j frame 4" for task in executor.order) >= 2
    assert [e["frame"] for e in events.of("frame")].count(4) == 1


def test_idle_cores_leave_frames_queued_for_a_gpu_that_will_need_them_to_encode(tmp_path, monkeypatch):
    clock, slots, begun = Clock(), {"cpu": 16, "gpu": 3}, []
    monkeypatch.setattr(stragglers, "time", clock)

    def submit(together):
        begun.extend(task.kind for task in together)
        return [len(begun)]

    scheduler = Scheduler(SimpleNamespace(submit=submit, cancel=lambda ticket: None), lambda event: None)
    own = scheduler._jobs["j"] = Job("j", payload(num_frames=40), tmp_path, {})
    own.pace |= {(Grade(FRAME), "gpu"): 0.015, (Grade(FRAME), "cpu"): 0.6, (Grade(SEGMENT), "cpu"): 0.1}
    for frame in range(4):
        scheduler._in_flight.submit(own, [(Item(FRAME, frame), Task(FRAME, None, kind="gpu"))])
    clock.now += 60
    scheduler._take_over("cpu", 16, slots)
    assert begun == ["gpu"] * 4
    own.pace[Grade(FRAME), "gpu"] = 20.0  # it is slow: they had better
    scheduler._take_over("cpu", 3, slots)
    assert begun == ["gpu"] * 4 + ["cpu"] * 3
    scheduler.close()


def test_an_idle_gpu_takes_over_what_a_core_is_long_at(tmp_path, monkeypatch):
    clock, cancelled = Clock(), []
    monkeypatch.setattr(stragglers, "time", clock)
    tickets = itertools.count()
    executor = SimpleNamespace(submit=lambda together: [next(tickets) for _ in together], cancel=cancelled.append)
    under_way, own = InFlight(executor), Job("j", payload(), tmp_path, {})
    item, task = Item(FRAME, 0), Task(FRAME, None, kind="cpu")
    under_way.submit(own, [(item, task)])
    clock.now += 60
    assert not list(under_way.slower("gpu"))  # nobody knows what it takes there
    own.note_pace(Item(FRAME, 1), "gpu", 40.0)
    assert not list(under_way.slower("gpu"))
    clock.now += 21
    assert [flight.item for flight in under_way.slower("gpu")] == [item] and not list(under_way.slower("cpu"))
    under_way.copy(own, item, replace(task, kind="gpu"))
    assert not list(under_way.slower("gpu")) and under_way.calls == {"cpu": 1, "gpu": 1}
    assert under_way.end(Outcome(1, "picture", {"seconds": 40.0})).task.kind == "gpu"
    assert cancelled == [0] and not under_way.wanted

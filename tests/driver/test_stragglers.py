"""Tasks that hang are started once more, and only those."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mandel.driver.jobs import stragglers
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import SchedulingPolicy
from mandel.driver.jobs.running_tasks import RunningTasks
from mandel.driver.jobs.scheduler import Scheduler
from mandel.driver.recipes.recipe import FRAME, SEGMENT, CostClass, WorkItem
from mandel.tasks.executor import Outcome, Task
from tests.driver.test_cpu_gpu_split import takes
from tests.driver.test_scheduler import Events, Faulty, payload


class Clock:
    """Time as the test tells it."""

    now = 1000.0

    def __call__(self):
        return self.now


class Watch(stragglers.Stragglers):
    """Each task a call of its own; ``signs`` are what is heard of them."""

    def __init__(self, clock):
        super().__init__(clock=clock)
        self.signs = {}

    def submit(self, ticket, kind="cpu", item="frame", job="j", copies=0):
        self.submitted(ticket, ticket, job, item, kind, copies)

    def found(self, cpu=2, **others):
        return self.late(
            {"cpu": cpu, **others}, lambda tickets: {t: self.signs[t] for t in tickets if t in self.signs}
        )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    """Frames take up to four seconds."""
    own = Watch(clock)
    own.submit(0)
    own.ended(0, 4.0)
    return own


def look(watch, clock, seconds, **slots):
    clock.now += seconds
    return watch.found(**slots)


def test_a_task_is_late_by_the_measure_of_its_like(watch, clock):
    watch.submit(1)
    assert look(watch, clock, 2) == []
    assert look(watch, clock, 19) == []
    assert look(watch, clock, 2) == [
        1
    ]  # five times four seconds have passed since it began, and a slot is idle
    assert look(watch, clock, 100) == []  # told once
    watch.submit(2, copies=1)
    assert look(watch, clock, 2) == []
    assert look(watch, clock, 79) == []  # a copy is given four times as long
    assert look(watch, clock, 2) == [2]
    watch.submit(3, kind="gpu", job="other")
    look(watch, clock, 2, gpu=2)
    assert 3 not in look(watch, clock, 100, gpu=2)  # nobody knows yet what its like takes


def test_patience_counts_from_when_a_slot_took_the_task(watch, clock):
    for ticket in (1, 2, 3, 4):
        watch.submit(ticket)
    assert look(watch, clock, 2) == []
    for _ in range(10):  # two long ones are at work, and say so
        watch.signs = {1: 1.0, 2: 2.0}
        assert look(watch, clock, 10) == []
    watch.ended(1, 102.0)
    watch.ended(2, 102.0)
    assert look(watch, clock, 2) == []
    watch.signs = {}
    assert look(watch, clock, 450) == []
    assert look(watch, clock, 70) == [3, 4]  # began when the first two ended


def test_what_is_slow_and_says_that_it_is_at_work_is_copied_only_to_an_idle_slot(watch, clock):
    for ticket in (1, 2):
        watch.submit(ticket)
    watch.signs = {1: 1.0, 2: 1.0}
    look(watch, clock, 2)
    assert look(watch, clock, 10_000) == []  # a copy would wait behind them
    watch.ended(2)
    assert look(watch, clock, 2) == [1]


def test_what_fell_silent_is_late_before_what_is_slow(watch, clock):
    watch.submit(1)
    watch.signs = {1: 1.0}
    look(watch, clock, 2)
    assert look(watch, clock, 30) == []
    watch.signs = {1: 11.0}
    assert look(watch, clock, 2) == [1]


def test_what_a_lost_node_swallowed_takes_no_slot(watch, clock):
    """Ray never answers for it; the slots that are left take what comes behind it."""
    for ticket in (1, 2, 3, 4):
        watch.submit(ticket)
    look(watch, clock, 2)
    assert look(watch, clock, 21) == []  # two others wait behind them, it seems
    watch.ended(3, 4.0)
    watch.ended(4, 4.0)
    assert look(watch, clock, 2) == [1, 2]


def test_what_is_cancelled_has_its_slot_until_it_ends(watch, clock):
    for ticket in (1, 2):
        watch.submit(ticket)
    look(watch, clock, 2)
    watch.forget("j")
    watch.signs = {1: 1.0, 2: 1.0}
    for ticket in (3, 4):
        watch.submit(ticket, job="other")
    for _ in range(30):
        assert look(watch, clock, 100) == []
    watch.ended(1)
    watch.ended(2)
    look(watch, clock, 2)
    assert look(watch, clock, 110) == []
    assert look(watch, clock, 20) == [3, 4]


def test_a_task_that_never_ends_is_started_once_more(tmp_path):
    hasty = SchedulingPolicy(late_when_idle=(0.0, 0.2), late_when_busy=(0.0, 1e9), late_look_seconds=0.0)
    swallowed, late = [], []

    class Swallowing(Faulty):
        def wait(self, timeout):
            outcomes = super().wait(timeout)
            for outcome in outcomes:
                if self.tasks[outcome.ticket].label == "j frame 4" and not swallowed:
                    swallowed.append(outcome)
            return [o for o in outcomes if o not in swallowed] + late

    executor, events = Swallowing(lambda task: None), Events()
    scheduler = events.scheduler = Scheduler(executor, events, policy=hasty)
    scheduler.add(JobRun("j", payload(), tmp_path, {}, policy=hasty))
    while scheduler.busy:
        scheduler.step(0.05)
        if any(e["event"] == "frame" and e["frame"] == 4 for e in events.all):
            late[:] = [Outcome(swallowed[0].ticket, None, {}, {"code": "INTERNAL", "message": "too late"})]
    scheduler.close()
    executor.close()
    assert events.of("video") and not events.of("failed")
    assert sum(task.label == "j frame 4" for task in executor.order) >= 2
    assert [e["frame"] for e in events.of("frame")].count(4) == 1


def test_idle_cores_leave_frames_queued_for_a_gpu_that_will_need_them_to_encode(tmp_path):
    clock, slots, begun = Clock(), {"cpu": 16, "gpu": 3}, []

    def submit(batch):
        begun.extend(task.kind for task in batch)
        return [len(begun)]

    executor = SimpleNamespace(submit=submit, cancel=lambda ticket: None)
    scheduler = Scheduler(executor, lambda event: None, clock=clock)
    own = scheduler._jobs["j"] = JobRun("j", payload(num_frames=40), tmp_path, {})
    takes(own, CostClass(FRAME), "gpu", 0.015)
    takes(own, CostClass(FRAME), "cpu", 0.6)
    takes(own, CostClass(SEGMENT), "cpu", 0.1)
    for frame in range(4):
        scheduler._running.submit(own, [(WorkItem(FRAME, frame), Task(FRAME, None, kind="gpu"))])
    clock.now += 60
    scheduler._dispatcher._copies.take_over("cpu", 16, slots)
    assert begun == ["gpu"] * 4
    takes(own, CostClass(FRAME), "gpu", 20.0)  # it is slow: they had better
    scheduler._dispatcher._copies.take_over("cpu", 3, slots)
    assert begun == ["gpu"] * 4 + ["cpu"] * 3
    scheduler.close()


def test_an_idle_gpu_takes_over_what_a_core_is_long_at(tmp_path):
    clock, cancelled = Clock(), []
    tickets = itertools.count()
    executor = SimpleNamespace(submit=lambda batch: [next(tickets) for _ in batch], cancel=cancelled.append)
    under_way, own = RunningTasks(executor, clock=clock), JobRun("j", payload(), tmp_path, {})
    item, task = WorkItem(FRAME, 0), Task(FRAME, None, kind="cpu")
    under_way.submit(own, [(item, task)])
    clock.now += 60
    assert not list(under_way.slower("gpu"))  # nobody knows what it takes there
    own.record_seconds(WorkItem(FRAME, 1), "gpu", 40.0)
    assert not list(under_way.slower("gpu"))
    clock.now += 21
    assert [task_run.item for task_run in under_way.slower("gpu")] == [item] and not list(
        under_way.slower("cpu")
    )
    under_way.copy(own, [(item, replace(task, kind="gpu"))])
    assert not list(under_way.slower("gpu")) and under_way.calls == {"cpu": 1, "gpu": 1}
    assert under_way.end(Outcome(1, "picture", {"seconds": 40.0})).task.kind == "gpu"
    assert cancelled == [0] and not under_way.wanted

"""Who is to blame for dead drivers, in virtual time."""

import random
import signal
from types import SimpleNamespace

import pytest

from mandel.service.jobs import suspects
from mandel.service.jobs.job import RUNNING
from mandel.service.jobs.suspects import LEAST_TRIAL, Suspects
from mandel.store.states import QUEUED


class World:
    """Jobs that need so many seconds in a driver's hands; ``culprits`` end it after so many, each time."""

    def __init__(self, monkeypatch, work, culprits, status=7):
        self.now, self.status, self.culprits = 1000.0, status, culprits
        monkeypatch.setattr(suspects, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.jobs = [SimpleNamespace(id=name, deaths=0, state=QUEUED) for name in work]
        self.work, self.done, self.failed, self.lives = work, [], [], 0
        self.own = Suspects()

    def live(self):
        """One life of a driver, to its death or to the end of all jobs."""
        self.lives += 1
        ready, since = self.now, {}
        while self.jobs:
            for job in self.own.among(self.jobs):
                if job.state == QUEUED:
                    job.state = RUNNING
                    since[job.id] = self.now
            running = [job for job in self.jobs if job.state == RUNNING]
            assert running, "somebody is always served"
            self.now += 1
            for job in running:
                held = self.now - since[job.id]
                if held >= self.culprits.get(job.id, 1e9):
                    culprit = self.own.died(running, self.now - ready, self.status)
                    for other in running:
                        other.state = QUEUED
                    if culprit:
                        self.jobs.remove(culprit)
                        self.failed.append(culprit.id)
                    self.now += 3
                    return
                if held >= self.work[job.id]:
                    self.jobs.remove(job)
                    self.done.append(job.id)

    def run(self):
        while self.jobs:
            self.live()
            assert self.lives < 100
        return self


@pytest.mark.parametrize("seed", range(40))
def test_culprits_fail_and_nobody_else(monkeypatch, seed):
    rng = random.Random(seed)
    names = [f"j{number}" for number in range(rng.randint(1, 20))]
    culprits = {
        name: rng.choice((1, 4, 40)) for name in rng.sample(names, min(len(names), rng.choice((1, 1, 2))))
    }
    work = {name: 10**6 if name in culprits else rng.choice((2, 60, 600)) for name in names}
    world = World(monkeypatch, work, culprits).run()
    assert set(world.failed) == set(culprits) and set(world.done) == set(names) - set(culprits)
    print(f"{len(names)} jobs, {len(culprits)} culprits: {world.lives} drivers, {world.now - 1000:.0f} s")
    assert world.lives <= 1 + 12 * len(culprits)


@pytest.mark.parametrize("seconds", [200, 500])
def test_a_job_that_ends_its_driver_late_fails_too(monkeypatch, seconds):
    """The first time for trials is too short to meet it; that time grows."""
    names = [f"j{number}" for number in range(7)]
    world = World(monkeypatch, dict.fromkeys(names, 600) | {"j3": 10**6}, {"j3": seconds}).run()
    assert world.failed == ["j3"] and world.lives <= 20


@pytest.mark.parametrize("life, count", [(1, 1), (1, 20), (500, 1), (500, 20)])
def test_others_wait_a_minute_at_most_in_a_driver_s_life(monkeypatch, life, count):
    """However long drivers lived, and however many trials there are; before: 10 min for each trial."""
    world = World(monkeypatch, {f"j{number}": 10**6 for number in range(count)}, {})
    for _ in range(2):
        for job in world.own.among(world.jobs):
            job.state = RUNNING
        world.own.died(world.jobs, life, 7)
        for job in world.jobs:
            job.state = QUEUED
    new = SimpleNamespace(id="new", deaths=0, state=QUEUED)
    waited = 0
    while new not in (given := world.own.among([*world.jobs, new])):
        assert 0 < len(given) <= -(-count // 2)
        world.now += 1
        waited += 1
    print(f"{count} suspects, drivers lived {life} s: others waited {waited} s")
    assert LEAST_TRIAL <= waited <= LEAST_TRIAL + 1


def test_a_job_of_one_frame_of_a_minute_outlives_one_that_ends_its_driver_after_four_seconds(monkeypatch):
    world = World(monkeypatch, {"honest": 60, "bad": 10**6}, {"bad": 4}).run()
    assert (world.failed, world.done) == (["bad"], ["honest"])


@pytest.mark.parametrize("status", [-signal.SIGKILL, 137, 4])
def test_a_job_alone_is_given_more_lives_by_drivers_that_are_ended_from_outside(monkeypatch, status):
    world = World(monkeypatch, {"j": 10**6}, {"j": 4}, status).run()
    assert world.lives == 12 and world.failed == ["j"]


def test_a_finished_segment_resets_the_count(monkeypatch):
    world = World(monkeypatch, {"j": 10**6}, {"j": 4})
    for _ in range(20):
        world.live()
        world.jobs[0].deaths = 0  # as ``Registry.add_segment`` does
    assert not world.failed

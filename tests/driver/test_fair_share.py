"""Whom the next slot belongs to."""

import json
from collections import Counter
from pathlib import Path

from mandel.driver.jobs.fair_share import FairShare
from mandel.driver.jobs.job_run import JobRun
from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits

PAYLOAD = parse(
    loads(json.dumps({"num_frames": 9, "frame_width": 16, "frame_height": 16}).encode()), PayloadLimits()
)


class Cluster:
    """One slot; each turn costs a second."""

    def __init__(self):
        self.jobs: dict[str, JobRun] = {}
        self.fair_share = FairShare(self.jobs)

    def add(self, name: str, client: str, priority: int = 0) -> JobRun:
        job = JobRun(name, PAYLOAD, Path("nowhere"), {}, priority, client=client)
        self.fair_share.open(job)
        self.jobs[name] = job
        return job

    def remove(self, name: str) -> None:
        del self.jobs[name]
        self.fair_share.close()

    def turns(self, count: int) -> Counter:
        served = Counter()
        for _ in range(count):
            job = self.fair_share.ranked(self.jobs.values())[0]
            self.fair_share.charge(job, 1.0)
            served[job.name] += 1
        return served


def test_clients_share_evenly_however_many_jobs_they_have():
    cluster = Cluster()
    for number in range(40):
        cluster.add(f"a{number}", "a", priority=9)
    cluster.add("b", "b", priority=-9)
    assert cluster.turns(80)["b"] == 40


def test_addresses_share_evenly_however_many_names_they_make_up():
    cluster = Cluster()
    for number in range(40):
        cluster.add(f"a{number}", f"name {number}@a")
    cluster.add("b", "b")
    assert cluster.turns(80)["b"] == 40
    assert set(cluster.turns(80).values()) == {1, 40}, "at an address each name has as much"
    assert cluster.fair_share.part(cluster.jobs["b"]) == 0.5
    assert cluster.fair_share.part(cluster.jobs["a0"]) == 0.5 / 40


def test_a_clients_jobs_share_by_priority():
    cluster = Cluster()
    cluster.add("low", "a"), cluster.add("high", "a", priority=1)
    assert cluster.turns(30) == {"low": 10, "high": 20}


def test_who_comes_late_neither_waits_nor_catches_up():
    cluster = Cluster()
    cluster.add("a", "a")
    cluster.turns(1000)
    cluster.add("b", "b")
    assert cluster.turns(10) == {"a": 5, "b": 5}
    cluster.remove("b")
    cluster.turns(1000)
    cluster.add("b", "b")
    assert cluster.turns(10) == {"a": 5, "b": 5}


def test_a_job_ranked_anew_is_served_by_its_new_rank():
    cluster = Cluster()
    low, _ = cluster.add("low", "a"), cluster.add("other", "a")
    cluster.turns(10)
    cluster.fair_share.change(low, 2, "a")
    assert cluster.turns(50) == {"low": 40, "other": 10}
    cluster.fair_share.change(low, 2, "b")
    assert cluster.turns(50) == {"low": 25, "other": 25}
    cluster.remove("other")  # with it its client
    assert cluster.turns(1) == {"low": 1}

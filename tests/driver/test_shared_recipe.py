"""What a shared zoom needs and holds, without rendering anything."""

import json
from pathlib import Path

import pytest

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.recipes.costs import frame_places
from mandel.driver.recipes.recipe import FRAME, REFERENCE, SEGMENT, WorkItem
from mandel.driver.recipes.shared import MIPS, STRIP
from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads


def job(**fields) -> JobRun:
    known = {
        "frame_width": 640,
        "frame_height": 360,
        "maxiter": 1000,
        "sampling": "shared",
        "mapping": "root",
    }
    return JobRun("j", parse(loads(json.dumps({**known, **fields}).encode())), Path("/nowhere"), {})


class Run:
    """Plays an executor that makes everything at once; notes what is held."""

    def __init__(self, job: JobRun):
        self.job, self.most, self.made = job, 0, []
        sizes = {}
        while (given := job.next("cpu")) is not None:
            item, task = given
            self.made.append(item)
            sizes[item] = self._bytes(item, task.argument)
            assert len(task.inputs) == len(job._recipe.needs(item))
            for encoding, _ in job.ended(item, object()):
                job.ended(encoding, object())
            self.most = max(self.most, sum(sizes[held] for held in job.frontier._made))

    @staticmethod
    def _bytes(item: WorkItem, unit) -> int:
        if item.kind == STRIP:
            return 4 * unit.layout.size
        return 4 * (unit.layout.size - unit.layout.offset(unit.level)) if item.kind == MIPS else 0

    def count(self, kind: str) -> int:
        return sum(item.kind == kind for item in self.made)


@pytest.mark.parametrize("start, end", [("2.5", "1e-30"), ("1e-30", "2.5")])
def test_everything_is_made_once_and_let_go(start, end):
    run = Run(job(num_frames=300, start_delta=start, end_delta=end))
    assert run.count(FRAME) == 300 and run.count(REFERENCE) == 1
    assert len(run.made) == len(set(run.made))
    assert run.count(STRIP) == run.job._recipe.strips.last + 1
    assert not [item for item in run.job.frontier._made if item.kind != SEGMENT]


def test_strips_of_a_path_are_made_once_and_let_go():
    path = [
        {"point": "-0.5,0", "delta": "2.5", "hold": 1},
        {"point": "-0.743643887037151,0.131825904205330", "delta": "1e-12", "time": 4, "hold": 1},
        {"point": "-1.7687788,-0.001738996", "delta": "1e-6", "time": 4},
    ]
    run = Run(job(path=path, fps="30"))
    frames = run.job.payload.num_frames
    assert run.count(FRAME) == frames and len(run.made) == len(set(run.made))
    assert not [item for item in run.job.frontier._made if item.kind != SEGMENT]
    assert run.most <= 1.25 * run.job._recipe.held_bytes
    iterated = run.job._recipe.iterated()
    strips = {item for item in run.made if item.kind == STRIP}
    alone = {item for item in iterated.items if item.kind == FRAME}
    assert strips | alone == set(iterated.items) and 0 < len(alone) < frames / 4
    assert len(iterated.items) == len(iterated.depths) == len(iterated.samples)
    depths = iterated.depths[[item.kind == STRIP for item in iterated.items]]
    along = frame_places(run.job.payload)
    assert along.min() <= depths.min() and depths.max() <= along.max()


@pytest.mark.parametrize("ends", [("1", "1e-60"), ("1", "1e-300"), ("1e-300", "1")])
def test_memory_depends_on_the_frame_and_not_on_depth(ends):
    run = Run(job(num_frames=400, start_delta=ends[0], end_delta=ends[1]))
    assert run.most <= run.job.held_bytes < 80e6


def test_frames_far_apart_share_nothing_and_skip_what_lies_between():
    run = Run(job(num_frames=3, start_delta="1", end_delta="1e-60"))
    assert run.count(STRIP) < run.job._recipe.strips.last / 2


def test_lost_strips_are_made_again():
    j = job(num_frames=4, start_delta="1", end_delta="0.5")
    while (given := j.next("cpu"))[0].kind != FRAME:
        j.ended(given[0], object())
    frame = given[0]
    j.failed(frame, lost=True)
    again = []
    while (given := j.next("cpu")) is not None and given[0] != frame:
        again.append(given[0])
        j.ended(given[0], object())
    assert {item for item in again if item.kind != FRAME} >= set(j._recipe.needs(frame)[:1])


def test_items_go_in_order_of_need():
    first = Run(job(num_frames=200, start_delta="1", end_delta="1e-20"))
    strips = [item.index for item in first.made if item.kind == STRIP]
    assert strips == sorted(strips)
    assert first.made.index(WorkItem(FRAME, 0)) < first.made.index(WorkItem(STRIP, strips[-1]))


@pytest.mark.parametrize("density", ["0.5", "1.1", "4"])
def test_tiny_frames_are_made_to_the_end(density):
    """Strips of one row have one level; a job that broke the driver here would take all others' with it."""
    for width, height in ((2, 2), (4, 2), (2, 8)):
        run = Run(
            job(
                num_frames=5,
                frame_width=width,
                frame_height=height,
                start_delta="2",
                end_delta="0.01",
                strip_density=density,
            )
        )
        assert run.count(FRAME) == 5
        assert not [item for item in run.job.frontier._made if item.kind != SEGMENT]

"""T13: ten thousand frames of 1080p, instant workers and an encoder ten times too slow."""

import resource
import weakref
from concurrent.futures import Future
from pathlib import Path

from mandel.driver.files.segment_files import write_segment
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.scheduler import Scheduler
from mandel.driver.jobs.video_assembly import VideoAssembler
from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.tasks.executor import Outcome
from tests.support.chaos import amount, tell

MEMORY = 1 << 30
ENCODING_STEPS = 40  # a frame takes one step of the simulated cluster, an encoder takes this many


class Picture:
    """Stands for a frame's bytes in the object store."""


class Unlooked(VideoAssembler):
    """Takes what stands for segments for such, and joins none."""

    def look_at(self, job):
        pass

    def save(self, job, number, data, note):
        right = Future()
        right.set_result(write_segment(job.tmp, job.name, number, data()))
        self._saves.append((job.name, note, right))


class Cluster:
    """Four slots; frames are done at the next step, segments much later; nothing is computed."""

    def __init__(self, frame_bytes: int):
        self.frame_bytes, self.held, self.peak = frame_bytes, 0, 0
        self._running, self._tickets, self._now = {}, 0, 0

    def slots(self):
        return {"cpu": 4}

    def memory(self):
        return MEMORY

    def nodes(self):
        return []

    def submit(self, batch):
        tickets = []
        for place, task in enumerate(batch):
            self._tickets += 1
            steps = ENCODING_STEPS if task.function == "segment" else 1 + place
            self._running[self._tickets] = (self._now + steps, task)
            tickets.append(self._tickets)
        return tickets

    def wait(self, timeout):
        self._now += 1
        # Four run at once, the others wait behind them.
        first = dict(list(self._running.items())[:4])
        return [self._end(ticket) for ticket, (due, _) in first.items() if due <= self._now]

    def _end(self, ticket):
        _, task = self._running.pop(ticket)
        facts = {"seconds": 0.0, "cpu_seconds": 0.0, "node": "n", "host": "h", "device": "d"}
        if task.function == "segment":
            return Outcome(ticket, b"", facts)
        picture = Picture()
        self.held += self.frame_bytes
        self.peak = max(self.peak, self.held)
        weakref.finalize(picture, self._free)
        return Outcome(ticket, picture, facts)

    def _free(self):
        self.held -= self.frame_bytes

    def fetch(self, handle):
        return handle

    def progress(self, ticket):
        return None

    def heard(self, tickets):
        return {}

    def cancel(self, ticket):
        pass


def test_frames_wait_for_the_encoder(tmp_path):
    """T13"""
    frames = amount(2_000, 10_000)
    size = '"frame_width": 1920, "frame_height": 1080'
    text = f'{{"num_frames": {frames}, {size}, "maxiter": 1000, "mapping": "root"}}'  # needs no key views
    job = JobRun("j", parse(loads(text.encode())), tmp_path, {})
    cluster, segments = Cluster(job.frame_bytes), []
    scheduler = Scheduler(
        cluster,
        lambda event: segments.append(event) if isinstance(event, control.Segment) else None,
        assembler=Unlooked(),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scheduler.add(job)
    stored = 0
    while stored < len(job.segments):
        scheduler.step(0)
        for event in segments[stored:]:
            scheduler.adopted("j", event.index, Path(event.path))
        stored = len(segments)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    scheduler.close()
    tell(
        "T13",
        frames=frames,
        object_store_MiB=MEMORY >> 20,
        peak_MiB=cluster.peak >> 20,
        spilled_bytes=0,
        driver_grew_MiB=grown >> 10,
    )
    assert cluster.peak <= 0.5 * MEMORY  # Ray spills at 80 %
    assert grown < 64 << 10
    del job, scheduler
    assert cluster.held == 0

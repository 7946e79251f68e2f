"""The scheduler on this machine's threads: real kernels and real ffmpeg, injected faults."""

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mandel.colour.style import ColourStyle
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY, SchedulingPolicy
from mandel.driver.jobs.scheduler import Scheduler
from mandel.payload.payload import Payload, parse
from mandel.plan.view import View
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits
from mandel.tasks.executor import Outcome, Task
from mandel.tasks.units import FrameUnit
from mandel.worker import functions
from tests.support.local_executor import LocalExecutor
from tests.support.video import stream

SMALL = {"num_frames": 9, "frame_width": 64, "frame_height": 36, "maxiter": 200, "fps": 25}


def payload(**fields) -> Payload:
    return parse(loads(json.dumps({**SMALL, **fields}).encode()), PayloadLimits())


class Events:
    """Collects events and adopts segments as the supervisor does."""

    def __init__(self):
        self.all = []
        self.scheduler = None

    def __call__(self, said):
        event = control.as_json(said)
        self.all.append(event)
        if event["event"] == "segment":
            path = Path(event["path"])
            assert hashlib.sha256(path.read_bytes()).hexdigest() == event["sha256"]
            final = path.rename(path.with_name("final-" + path.name))
            self.scheduler.adopted(event["job"], event["index"], final)

    def of(self, kind, job=None):
        return [e for e in self.all if e["event"] == kind and (job is None or e["job"] == job)]


class Faulty(LocalExecutor):
    """Spoils the outcomes that ``spoil(task)`` names an error for; keeps every task it was given."""

    def __init__(self, spoil, workers=2):
        super().__init__(workers)
        self.spoil = spoil
        self.tasks = {}
        self.order, self.calls = [], []

    def submit(self, batch):
        tickets = super().submit(batch)
        self.tasks |= zip(tickets, batch)
        self.order += batch
        self.calls.append(batch)
        return tickets

    def wait(self, timeout):
        return [self._spoilt(outcome) for outcome in super().wait(timeout)]

    def _spoilt(self, outcome):
        code = self.spoil(self.tasks[outcome.ticket])
        if code is None or outcome.error:
            return outcome
        return Outcome(outcome.ticket, None, outcome.info, {"code": code, "message": "injected"})


@pytest.fixture
def run(tmp_path):
    """run(executor, {name: payload}) -> events, after all jobs have ended."""

    def go(executor, jobs, finished=None, steps=3000, policy=DEFAULT_POLICY):
        events = Events()
        scheduler = events.scheduler = Scheduler(executor, events)
        try:
            for name, p in jobs.items():
                scheduler.add(JobRun(name, p, tmp_path, finished or {}, policy=policy))
            while scheduler.busy and (steps := steps - 1):
                scheduler.step(0.05)
            assert not scheduler.busy, events.all[-3:]
        finally:
            scheduler.close()
            executor.close()
        return events

    return go


def test_a_job_becomes_a_video(run):
    events = run(LocalExecutor(), {"a" * 64: payload()})
    (video,) = events.of("video")
    facts = stream(Path(video["path"]))
    assert (facts.frames, facts.width, facts.height) == (9, 64, 36)
    assert Path(video["poster"]).read_bytes().startswith(b"\x89PNG")
    assert sorted(e["frame"] for e in events.of("frame")) == list(range(9))
    assert hashlib.sha256(Path(video["path"]).read_bytes()).hexdigest() == video["sha256"]


def test_a_frame_that_fails_twice_is_rendered_and_counted(run):
    failures = []

    def spoil(task):
        if task.label.endswith("frame 4") and len(failures) < 2:
            failures.append(task)
            return "INTERNAL"

    events = run(Faulty(spoil), {"j": payload()})
    assert events.of("video")
    (frame,) = [e for e in events.of("frame") if e["frame"] == 4]
    assert frame["attempt"] == 3


def test_a_poison_frame_fails_its_job_by_name_and_spares_the_other(run):
    executor = Faulty(lambda task: "WORKER_LOST" if task.label == "bad frame 4" else None)
    events = run(executor, {"bad": payload(), "good": payload(maxiter=150)})
    (failed,) = events.of("failed")
    assert (failed["job"], failed["frame"], failed["code"]) == ("bad", 4, "WORKER_LOST")
    assert "frame 4" in failed["message"] and "injected" in failed["message"]
    assert sum(task.label == "bad frame 4" for task in executor.order) == DEFAULT_POLICY.max_attempts
    assert events.of("video", "good") and not events.of("video", "bad")


def test_workers_that_hang_are_not_the_frames_fault(run):
    hung = []

    def spoil(task):
        if task.label == "j frame 4" and len(hung) < 2 * DEFAULT_POLICY.max_attempts:
            hung.append(task)
            return "WORKER_HUNG"

    events = run(Faulty(spoil), {"j": payload()})
    assert len(hung) == 2 * DEFAULT_POLICY.max_attempts and events.of("video") and not events.of("failed")


def test_lost_pictures_are_rendered_again(run):
    lost = []

    def spoil(task):
        if task.function == "segment" and not lost:
            lost.append(task)
            return "NODE_LOST"

    events = run(Faulty(spoil), {"j": payload()})
    assert events.of("video")
    again = [f for f in range(9) if sum(e["frame"] == f for e in events.of("frame")) == 2]
    assert len(again) == len(lost[0].inputs)


def test_a_worker_that_failed_hands_back_what_was_queued_and_takes_what_comes_later(monkeypatch):
    begun = []

    def work(unit, slot):
        begun.append(unit)
        if unit == "bad":
            raise RuntimeError("it fails")
        return unit, {}

    monkeypatch.setitem(functions.FUNCTIONS, "work", work)

    def run(unit, failures, label="job-of-this-test 1"):
        result, facts = functions.run("work", unit, functions.Slot(), label=label, failures=failures)
        return result or facts["error"]["code"]

    assert run("bad", 5) == "INTERNAL"
    assert [run("good", failures) for failures in (4, 5, 6)] == [
        "RETURNED_UNTRIED",
        "RETURNED_UNTRIED",
        "good",
    ]
    assert run("other", 0, "another-job 1") == "other"
    assert begun == ["bad", "good", "other"]


def test_a_call_that_has_lasted_long_enough_hands_the_rest_back():
    executor = LocalExecutor(1)
    frame = FrameUnit(View("0", "0", "2", 16, 16), 10, 1024.0, ColourStyle(), 1)
    frames = [
        Task("frame", frame, label=f"of-this-call {n}", call_seconds=1e-9, node="local") for n in range(3)
    ]

    def run(batch):
        tickets, codes = executor.submit(batch), {}
        while len(codes) < len(batch):
            codes |= {out.ticket: out.error and out.error["code"] for out in executor.wait(0.1)}
        return [codes[ticket] for ticket in tickets]

    assert run(frames) == [None, "RETURNED_UNTRIED", "RETURNED_UNTRIED"]
    assert run(frames[1:2]) == [None], "the worker has not failed, and takes what comes later"
    executor.close()


def test_what_is_handed_back_is_no_failed_attempt(run):
    seen = Counter()

    def spoil(task):
        seen[task.label] += 1
        return (
            "RETURNED_UNTRIED"
            if task.label.startswith("j frame") and seen[task.label] <= DEFAULT_POLICY.max_attempts
            else None
        )

    events = run(Faulty(spoil), {"j": payload()})
    assert events.of("video") and all(e["attempt"] == 1 for e in events.of("frame"))


@pytest.mark.parametrize("step", ["next", "ended"])
def test_a_job_whose_bookkeeping_fails_fails_alone(run, monkeypatch, step):
    real = getattr(JobRun, step)

    def broken(job, *args):
        if job.name == "bad":
            raise IndexError("injected")
        return real(job, *args)

    monkeypatch.setattr(JobRun, step, broken)
    events = run(LocalExecutor(), {"bad": payload(), "good": payload(maxiter=150)})
    (failed,) = events.of("failed")
    assert (failed["job"], failed["code"]) == ("bad", "INTERNAL") and "IndexError: injected" in failed[
        "message"
    ]
    assert events.of("video", "good")


def test_strips_that_no_store_can_hold_are_refused_in_words(run):
    events = run(
        LocalExecutor(), {"j": payload(sampling="shared", frame_width=16_384, frame_height=2, num_frames=2)}
    )
    (failed,) = events.of("failed")
    assert (
        failed["code"] == "JOB_TOO_BIG" and "frames of" in failed["message"] and "exact" in failed["message"]
    )


def test_a_node_that_keeps_failing_is_avoided_only_while_there_is_another(run):
    seen = []

    class TwoNodes(Faulty):
        def nodes(self):
            return [*super().nodes(), {"id": "other", "alive": True, "resources": {"CPU": 2}}]

    def spoil(task):
        seen.append(task.avoid)
        return "INTERNAL" if len(seen) <= 2 else None

    assert run(TwoNodes(spoil), {"j": payload()}).of("video")
    assert frozenset({"local"}) in seen

    alone = Faulty(lambda task: "INTERNAL" if len(alone.order) <= 2 else None)
    assert run(alone, {"j": payload()}).of("video")
    assert all(task.avoid == frozenset() for task in alone.order)


def test_a_node_that_fails_a_measurement_is_avoided(run):
    class TwoNodes(Faulty):
        def nodes(self):
            return [*super().nodes(), {"id": "other", "alive": True, "resources": {"CPU": 2}}]

    # With one worker, frames come after the measurement; none that goes well lets its failure be forgotten.
    executor = TwoNodes(lambda task: "INTERNAL" if " costs " in task.label else None, workers=1)
    policy = replace(DEFAULT_POLICY, forecast_seconds=0.0, blocklist_failures=1)
    assert run(executor, {"j": payload(num_frames=40)}, policy=policy).of("video")
    labels = [task.label for task in executor.order]
    (measured,) = [at for at, label in enumerate(labels) if " costs " in label]
    assert frozenset({"local"}) in [task.avoid for task in executor.order[measured:]]


def test_finished_segments_are_not_rendered_again(run, tmp_path):
    first = run(LocalExecutor(), {"j": payload()})
    kept = tmp_path / "kept.h264"
    kept.write_bytes((tmp_path / ("final-" + Path(first.of("segment")[0]["path"]).name)).read_bytes())
    index, frames = (first.of("segment")[0][k] for k in ("index", "frames"))
    second = run(LocalExecutor(), {"j": payload()}, finished={index: kept})
    assert len(second.of("frame")) == 9 - frames
    assert second.of("video")[0]["sha256"] == first.of("video")[0]["sha256"]


def test_a_short_job_does_not_wait_for_a_long_one(run):
    executor = Faulty(lambda task: None)
    events = run(executor, {"long": payload(num_frames=60), "short": payload(num_frames=4)})
    names = [e["job"] for e in events.all if e["event"] == "video"]
    assert names == ["short", "long"]


def test_cancel_ends_a_job_for_good(tmp_path):
    events = Events()
    executor = LocalExecutor()
    scheduler = events.scheduler = Scheduler(executor, events)
    scheduler.add(JobRun("j", payload(num_frames=100), tmp_path, {}))
    while not events.of("frame"):
        scheduler.step(0.05)
    scheduler.cancel("j")
    scheduler.cancel("j")
    while scheduler.tasks:
        scheduler.step(0.05)
    scheduler.close()
    executor.close()
    assert len(events.of("cancelled")) == 1 and not events.of("video")


def test_memory_bounds_what_is_in_flight(run):
    class Tight(Faulty):
        held = most = 0

        def memory(self):
            return int(64 * 36 * 1.5 * 10 / 0.4)  # ten frames

        def submit(self, batch):
            self.held += sum(task.function == "frame" for task in batch)
            self.most = max(self.most, self.held)
            return super().submit(batch)

        def wait(self, timeout):
            outcomes = super().wait(timeout)
            ended = [self.tasks[outcome.ticket] for outcome in outcomes]
            self.held -= sum(len(task.inputs) for task in ended if task.function == "segment")
            return outcomes

    executor = Tight(lambda task: None)
    assert run(executor, {"j": payload(num_frames=40)}).of("video")
    assert 0 < executor.most <= 10


def test_a_job_whose_segments_are_not_stored_yet_begins_no_more(tmp_path):
    executor, events, held = Faulty(lambda task: None), Events(), []

    def slow_head(event):  # it stores nothing until it is let
        (held if isinstance(event, control.Segment) and event.job == "j" else events.all).append(event)
        if isinstance(event, control.Segment) and event.job == "other":
            scheduler.adopted("other", event.index, Path(event.path))

    policy = SchedulingPolicy(max_unadopted=2)
    scheduler = Scheduler(executor, slow_head, policy=policy)
    for name in ("j", "other"):
        (tmp_path / name).mkdir()
        fields = payload(num_frames=600 if name == "j" else 60)
        scheduler.add(JobRun(name, fields, tmp_path / name, {}, policy=policy))
    while not any(isinstance(event, control.Video) for event in events.all):
        scheduler.step(0.05)
    while scheduler.tasks:
        scheduler.step(0.05)
    scheduler.step(0)
    assert scheduler.busy and 2 <= len(held) <= 10, "of 30: two, and those that were begun before"
    while held:
        event = held.pop(0)
        scheduler.adopted("j", event.index, Path(event.path))
        while scheduler.busy and not held:
            scheduler.step(0.05)
    scheduler.close()
    executor.close()
    assert [event.job for event in events.all if isinstance(event, control.Video)] == ["other", "j"]


def test_the_loop_goes_on_while_a_segment_is_written(tmp_path, monkeypatch):
    """A disk that does not answer holds up the job whose segment it has, and nothing else."""
    hit, free, write, writers = threading.Event(), threading.Event(), Path.write_bytes, set()

    def slow_disk(path, data):
        if path.parent.name == "slow" and path.suffix == ".h264" and not free.is_set():
            hit.set()
            writers.add(threading.current_thread())
            if threading.main_thread() not in writers:
                assert free.wait(60)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", slow_disk)
    executor, events = Faulty(lambda task: None), Events()
    scheduler = events.scheduler = Scheduler(executor, events)

    def until(condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end and not events.of("failed")
            scheduler.step(0.05)

    def add(name, frames):
        (tmp_path / name).mkdir()
        scheduler.add(JobRun(name, payload(num_frames=frames), tmp_path / name, {}))

    add("slow", 9)
    until(hit.is_set)
    add("other", 9)
    until(lambda: len(events.of("frame", "other")) == 9)
    assert not events.of("segment", "slow")
    assert threading.main_thread() not in writers, "the loop would wait, and nobody be served"
    free.set()
    until(lambda: len(events.of("video")) == 2)
    scheduler.close()
    executor.close()


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_maxiter_auto_is_found_along_the_zoom(run, sampling):
    fields = {"point": "-1.7497591451303665,0.0000000036851380", "end_delta": "1e-12", "maxiter": "auto"}
    executor = Faulty(lambda task: None)
    asked = payload(num_frames=6, sampling=sampling, mapping="root", **fields)
    assert run(executor, {"j": asked}).of("video")
    limits = [task for task in executor.order if task.function == "limit"]
    references = [task for task in executor.order if task.function == "reference"]
    # Every four octaves; or the frames themselves where these are fewer.
    assert len(limits) == (12 if sampling == "shared" else 6) and len(references) == 1
    made = [
        task.argument.maxiter
        for task in executor.order
        if task.function in ("frame", "strip") and hasattr(task.argument, "maxiter")
    ]
    assert min(made) >= 1000 and made == sorted(made) and made[-1] > made[0]


class CpuAndGpu(Faulty):
    """Both kinds of slots, on the same threads; a frame on the CPU takes its time."""

    def slots(self):
        return {"cpu": 2, "gpu": 2}

    def _outcome(self, ticket, *ended):
        outcome = super()._outcome(ticket, *ended)
        slow = self.tasks[ticket].kind == "cpu"
        return replace(outcome, info={**outcome.info, "seconds": 60.0 if slow else 0.001})


def test_a_slow_kind_of_slot_renders_one_frame_to_be_measured_and_then_encodes(run):
    executor = CpuAndGpu(lambda task: None)
    events = run(executor, {"j": payload(num_frames=40)})
    assert events.of("video")
    by_cpu = [task for task in executor.order if task.function == "frame" and task.kind == "cpu"]
    assert len(by_cpu) == 1
    assert all(task.kind == "cpu" for task in executor.order if task.function == "segment")


@pytest.mark.parametrize("broken", ["gpu", "cpu"])
def test_what_one_kind_of_slot_cannot_make_is_made_on_the_other(run, broken):
    """Two attempts fail there, on the only node; the last one is made elsewhere."""
    executor = CpuAndGpu(
        lambda task: "INTERNAL" if task.kind == broken and task.function == "frame" else None
    )
    events = run(executor, {"j": payload(num_frames=12)})
    assert events.of("video") and len(events.of("frame")) == 12
    tried = Counter((task.label, task.kind) for task in executor.order if task.function == "frame")
    assert max(count for (_, kind), count in tried.items() if kind == broken) <= 2
    assert all(count == 1 for (_, kind), count in tried.items() if kind != broken)


def test_the_only_node_with_a_gpu_is_not_avoided_by_what_needs_one(run):
    class OneGpu(CpuAndGpu):
        def nodes(self):
            return [
                {"id": "local", "alive": True, "resources": {"CPU": 2, "GPU": 1}},
                {"id": "other", "alive": True, "resources": {"CPU": 2}},
            ]

    failed = []

    def spoil(task):
        if (
            task.kind == "gpu" and len(failed) < 3
        ):  # two in a row, wherever the one frame of a CPU comes between
            failed.append(task)
            return "INTERNAL"

    executor = OneGpu(spoil)
    assert run(executor, {"j": payload(num_frames=40)}).of("video")
    assert all(task.avoid == frozenset() for task in executor.order if task.kind == "gpu")
    assert any(task.avoid == {"local"} for task in executor.order if task.kind == "cpu")


class Dying(Faulty):
    """The first call of several frames dies with its worker, as the executor on Ray tells it."""

    def __init__(self):
        super().__init__(lambda task: None)
        self.lost = []

    def wait(self, timeout):
        return [self._died(outcome) for outcome in super().wait(timeout)]

    def _died(self, outcome):
        task = self.tasks[outcome.ticket]
        if not self.lost:
            frames = (call for call in self.calls if call[0].function == "frame")
            self.lost = next((call for call in frames if len(call) > 1), [])
        if not any(task is one for one in self.lost):
            return outcome
        facts = {"node": "local"} if task is self.lost[0] else {}
        return Outcome(outcome.ticket, None, facts, {"code": "WORKER_LOST", "message": "injected"})


def test_short_frames_share_calls_and_those_of_a_lost_call_are_tried_one_by_one(run):
    executor = Dying()
    events = run(executor, {"j": payload(num_frames=60)})
    assert events.of("video")
    assert len(executor.lost) > 1 and all(task.function == "frame" for task in executor.lost)
    again = {task.label for task in executor.lost}
    alone = [
        call[0].label for call in executor.calls[executor.calls.index(executor.lost) + 1 :] if len(call) == 1
    ]
    assert again <= set(alone)
    attempts = {e["frame"]: e["attempt"] for e in events.of("frame")}
    assert {f"j frame {f}" for f, attempt in attempts.items() if attempt == 2} == again
    assert len(executor.calls) < 50


ENDLESS = {
    "point": "-0.75,0",
    "start_delta": "1e-10",
    "end_delta": "1e-10",
    "num_frames": 2,
    "maxiter": 2_000_000_000,
}


def test_a_reference_orbit_that_outgrows_its_memory_ends_its_job_at_once(run, monkeypatch):
    monkeypatch.setattr("mandel.device.machine.memory_bytes", lambda: 64 << 20)
    events = run(LocalExecutor(), {"j": payload(**ENDLESS)})
    (failed,) = events.of("failed")
    assert failed["code"] == "JOB_TOO_BIG" and "maxiter may be up to" in failed["message"]
    said = [event["message"] for event in events.of("log")]
    assert (
        sum("2,000,000,000 steps at most" in text for text in said) == 1
    )  # before it is begun, which is once


def test_one_that_seemed_endless_ends_with_the_view(run, monkeypatch):
    """At 70 bytes a step and 2e9 steps it took the machine's memory."""
    monkeypatch.setattr("mandel.device.machine.memory_bytes", lambda: 64 << 20)
    events = run(
        LocalExecutor(),
        {"j": payload(**ENDLESS | {"point": "-1.9,0", "start_delta": "1e-30", "end_delta": "1e-30"})},
    )
    assert events.of("video")

"""A disk that hangs holds up the job whose files it has; the driver's loop never waits for it."""

import errno
import io
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mandel import plain_file
from mandel.driver.files.disk_cache import Cache
from mandel.driver.files.disk_work import DiskWork
from mandel.driver.files.strip_files import StripFiles
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY
from mandel.driver.jobs.scheduler import Scheduler
from mandel.errors import RenderError
from mandel.payload.payload import Payload, parse
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from tests.support.local_executor import LocalExecutor

SMALL = {"num_frames": 6, "frame_width": 64, "frame_height": 36, "maxiter": 100, "end_delta": "1e-6"}
KEEP_ALL = replace(
    DEFAULT_POLICY, checkpoint_seconds=0.0, checkpoint_queue=100, checkpoint_bytes_per_second=1e12
)


def payload(**fields) -> Payload:
    return parse(loads(json.dumps(SMALL | fields).encode()))


KEPT = payload(sampling="shared", keep_strips=True)


class Driver:
    """A scheduler on threads of this process, and a head that adopts what it makes."""

    def __init__(self, folder: Path, policy=DEFAULT_POLICY):
        self.folder, self.policy, self.said, self.made = folder, policy, [], []
        self.executor = LocalExecutor(2)
        submit = self.executor.submit
        self.in_slots = []  # of what was made: not beside the slots

        def note(batch):
            self.made += [task.label for task in batch]
            self.in_slots += [task.label for task in batch if not task.node]
            return submit(batch)

        self.executor.submit = note
        self.scheduler = Scheduler(self.executor, self._take, policy=policy)

    def _take(self, event: control.Event) -> None:
        self.said.append(event)
        if isinstance(event, control.Segment):
            self.scheduler.adopted(event.job, event.index, Path(event.path))

    def add(self, name: str, p: Payload, cache: Path | None = None, strips: dict | None = None) -> None:
        tmp = self.folder / name
        tmp.mkdir(exist_ok=True)
        files = StripFiles(name, tmp, strips, p.keep_strips)
        cached = None if cache is None else Cache(cache)
        self.scheduler.add(JobRun(name, p, tmp, {}, cache=cached, strips=files, policy=self.policy))

    def of(self, kind, name: str) -> list:
        return [event for event in self.said if isinstance(event, kind) and event.job == name]

    def until(self, condition, what: str) -> None:
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, f"not within two minutes: {what}"
            self.scheduler.step(0.05)

    def has_made(self, name: str) -> bool:
        return bool(self.of(control.Video, name))

    def end(self) -> None:
        self.scheduler.close()
        self.executor.close()


@pytest.fixture
def driver(tmp_path):
    driver = Driver(tmp_path, KEEP_ALL)
    yield driver
    driver.end()


class SlowDisk:
    """Files that are ``held`` are not opened and folders not listed before they are freed; who asked is noted."""

    def __init__(self, monkeypatch):
        self.hit, self.free, self.threads = threading.Event(), threading.Event(), set()
        self.held = lambda path, mode: False
        io_open, listdir = io.open, os.listdir

        def slow_open(path, mode="r", *rest, **options):
            self._wait(path, mode)
            return io_open(path, mode, *rest, **options)

        monkeypatch.setattr(io, "open", slow_open)  # by which pathlib opens files
        descriptor = plain_file.descriptor
        monkeypatch.setattr(
            plain_file,
            "descriptor",
            lambda path, *flags: (self._wait(path, "r"), descriptor(path, *flags))[1],
        )
        monkeypatch.setattr(os, "listdir", lambda path=".": (self._wait(path, "list"), listdir(path))[1])

    def _wait(self, path, mode: str) -> None:
        if isinstance(path, int) or not self.held(Path(path), mode):
            return
        self.threads.add(threading.current_thread())
        self.hit.set()
        if threading.current_thread() is not threading.main_thread():
            assert self.free.wait(120)


@pytest.fixture
def disk(monkeypatch):
    disk = SlowDisk(monkeypatch)
    yield disk
    disk.free.set()


def strips_of(driver: Driver, name: str) -> dict:
    return {e.strip: [e.path, e.base, e.bytes, e.sha256] for e in driver.of(control.Strip, name) if e.file}


def check_goes_on(driver: Driver, disk: SlowDisk, name: str) -> None:
    """A job waits for the disk; another one is made meanwhile, then this one as well."""
    driver.until(disk.hit.is_set, "the disk is asked")
    driver.scheduler._disk._soon = 0.0  # its answer is late from now on
    driver.add("other", payload())
    driver.until(lambda: driver.has_made("other"), "the other job's video")
    assert not driver.has_made(name)
    assert any(label.startswith("other frame") for label in driver.in_slots), "it has all slots"
    assert threading.main_thread() not in disk.threads, "the loop would wait, and nobody be served"
    disk.free.set()
    driver.until(lambda: driver.has_made(name), "the video of the job that had to wait")
    assert not [event for event in driver.said if isinstance(event, control.Failed)]


def test_jobs_go_on_while_a_strip_is_written(driver, disk):
    disk.held = lambda path, mode: path.parent.name == "slow" and path.suffix == ".strip"
    driver.add("slow", KEPT)
    check_goes_on(driver, disk, "slow")
    strips = [label for label in set(driver.made) if label.startswith("slow strip")]
    assert len(strips_of(driver, "slow")) == len(strips), "each is told of before the video"
    assert isinstance(driver.of(control.JobEvent, "slow")[-1], control.Video)


def test_a_job_whose_strips_cannot_be_written_begins_only_so_much(tmp_path, disk):
    disk.held = lambda path, mode: path.suffix == ".strip"
    driver = Driver(tmp_path, replace(DEFAULT_POLICY, max_disk_work=2, max_batch=1))
    driver.add("slow", KEPT)
    driver.until(disk.hit.is_set, "the disk is asked")
    driver.until(lambda: not driver.scheduler.tasks, "nothing is begun any more")
    for _ in range(5):
        driver.scheduler.step(0)
    begun = {label for label in driver.made if "strip" in label}
    assert not driver.scheduler.tasks and 2 <= len(begun) <= 6, "two, and those in flight"
    disk.free.set()
    driver.until(lambda: driver.has_made("slow"), "it goes on")
    driver.end()


@pytest.mark.parametrize("what", ["*.h264", "*.png*"])
def test_jobs_go_on_while_segments_or_posters_of_many_are_written(tmp_path, disk, what):
    """More than there were threads for them when all jobs had the same ones. They are told of; no stop waits."""
    policy = replace(DEFAULT_POLICY, hung_seconds=0.0, decoding_seconds=0.1, stage_seconds=0.0)
    driver, slow, threads = Driver(tmp_path, policy), [f"slow{number}" for number in range(6)], set()
    disk.held = lambda path, mode: (
        path.parent.name in slow and path.match(what) and "w" in mode and not threads.add(path.parent.name)
    )
    for name in slow:
        driver.add(name, payload())
    driver.until(lambda: len(threads) == len(slow), "the disk is asked by each")
    driver.add("other", payload())
    driver.until(lambda: driver.has_made("other"), "the other job's video")
    assert not any(driver.has_made(name) for name in slow)
    told = {
        event.message[:9]
        for event in driver.said
        if isinstance(event, control.Log) and "hangs" in event.message
    }
    assert {f"job {name}" for name in slow} <= told
    closing = threading.Thread(target=driver.end)
    closing.start()
    closing.join(60)
    assert not closing.is_alive(), "it waits for a disk that hangs"


@pytest.mark.parametrize("moment", ["looked for", "read"])
def test_jobs_go_on_while_strips_are(driver, disk, moment):
    driver.add("first", KEPT)
    driver.until(lambda: driver.has_made("first"), "strips")
    strips, opened = strips_of(driver, "first"), set()

    def held(path, mode):
        if path.suffix != ".strip" or "r" not in mode:
            return False
        again = path in opened  # it is opened once to see what is in it, and then to be read
        opened.add(path)
        return again or moment == "looked for"

    disk.held = held
    driver.made.clear()
    driver.add("slow", replace(KEPT, palette="ember", mapping="root"), strips=strips)
    check_goes_on(driver, disk, "slow")
    assert all(event.found for event in driver.of(control.Strip, "slow"))


@pytest.mark.parametrize("moment", ["looked for", "read"])
def test_jobs_go_on_while_pictures_are(tmp_path, driver, disk, moment):
    first = Driver(tmp_path, KEEP_ALL)
    first.add("slow", payload(), tmp_path / "cache")
    first.until(lambda: len(first.of(control.Frame, "slow")) > 1, "some frames")
    first.scheduler.drain(60)
    first.end()
    assert list((tmp_path / "cache").glob("slow-*.yuv"))
    disk.held = lambda path, mode: (
        path == tmp_path / "cache" if moment == "looked for" else (path.suffix == ".yuv" and "r" in mode)
    )
    driver.add("slow", payload(), tmp_path / "cache")
    check_goes_on(driver, disk, "slow")
    assert driver.of(control.Kept, "slow")


def test_an_estimate_counts_on_strips_that_have_slopes(driver):
    driver.add("first", replace(KEPT, relief="0.5"))
    driver.until(lambda: driver.has_made("first"), "strips")
    asked, strips = replace(KEPT, relief="0.8", mapping="root"), strips_of(driver, "first")
    for name, found in ("none", {}), ("all", strips):
        files = StripFiles(name, driver.folder, found, keeps=True)
        estimate = JobRun(name, asked, driver.folder, {}, strips=files, source=KEPT, estimated=True)
        driver.scheduler.add(estimate)
        driver.until(lambda name=name: driver.of(control.Estimated, name), "the estimate")
        assert estimate.forecast.iterates == (not found)


def test_jobs_go_on_while_an_orbit_is_looked_for(tmp_path, driver, disk):
    deep = payload(point="0,1", start_delta="1e-40", end_delta="1e-42", maxiter=300)
    disk.held = lambda path, mode: path.parent == tmp_path / "cache" and "r" in mode
    driver.add("slow", deep, tmp_path / "cache")
    check_goes_on(driver, disk, "slow")


def test_a_stop_waits_for_strips_that_are_being_written(driver, disk):
    disk.held = lambda path, mode: path.suffix == ".strip"
    driver.add("slow", KEPT)
    driver.until(disk.hit.is_set, "the disk is asked")
    driver.scheduler.drain(60, disk.free.set)
    made = {label for label in driver.made if label.startswith("slow strip")}
    assert len(strips_of(driver, "slow")) == len(made) > 0


def test_a_job_that_was_cancelled_waits_for_no_disk(driver, disk):
    disk.held = lambda path, mode: path.suffix == ".strip" and not disk.free.is_set()
    driver.add("slow", KEPT)
    driver.until(disk.hit.is_set, "the disk is asked")
    driver.scheduler.cancel("slow")
    assert isinstance(driver.said[-1], control.Cancelled)
    driver.add("slow", payload())  # asked for anew, in another way
    driver.until(lambda: driver.has_made("slow"), "a job of the same name")
    assert not driver.of(control.Strip, "slow")


def test_work_that_goes_wrong_fails_the_job_that_asked_for_it(driver, monkeypatch):
    def full(files, event, base, raw):
        hit.append(event.job)
        raise OSError(errno.EIO, "injected")

    hit = []
    monkeypatch.setattr(StripFiles, "write", full)
    driver.add("bad", KEPT)
    driver.add("other", payload())
    driver.until(lambda: driver.has_made("other"), "the other job's video")
    driver.until(lambda: driver.of(control.Failed, "bad"), "the job's failure")
    assert set(hit) == {"bad"} and "injected" in driver.of(control.Failed, "bad")[0].message


def test_a_cluster_that_is_lost_while_strips_are_read_fails_no_job(driver, disk):
    """The driver ends, and the next one goes on with the job."""
    driver.add("first", KEPT)
    driver.until(lambda: driver.has_made("first"), "strips")
    disk.held = lambda path, mode: path.suffix == ".strip" and "r" in mode
    driver.add("slow", replace(KEPT, palette="ember", mapping="root"), strips=strips_of(driver, "first"))
    driver.until(disk.hit.is_set, "the disk is asked")

    def lost(batch):
        raise RenderError("NODE_LOST", "injected")

    driver.executor.submit = lost
    disk.free.set()
    with pytest.raises(RenderError, match="injected"):
        driver.until(lambda: driver.of(control.Failed, "slow"), "the loss")
    assert not driver.of(control.Failed, "slow")


def test_answers_come_once_and_in_order():
    woken, taken, gone = threading.Event(), [], []
    work = DiskWork(woken.set, 3)
    for number in range(3):
        work.ask("a", lambda number=number: number, taken.append, "cpu" if number else "")
    work.ask("b", lambda: 7, gone.append)
    assert work.is_full("a") and not work.is_full("b") and work.waiting("cpu") == 2
    work.forget("b")
    while work.busy:
        work.wait(10)
        for job, answer, take in work.answers():
            assert job == "a"
            take(answer())
    assert taken == [0, 1, 2] and not gone and woken.is_set() and not work.answers()
    work.forget("a")

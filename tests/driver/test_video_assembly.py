"""The video and the poster, made while segments become durable one by one."""

import threading

import numpy as np
import pytest

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.video_assembly import UnusableSegments, VideoAssembler, VideoAssembly
from mandel.payload.payload import Payload, parse
from mandel.settings import PayloadLimits
from mandel.video.encode import encode_segment
from mandel.video.join import Joiner
from tests.support.video import frame_digests


@pytest.fixture
def job(tmp_path):
    """A job of three segments of six frames, none durable."""
    payload: Payload = parse({"num_frames": 18, "frame_width": 64, "frame_height": 48}, PayloadLimits())
    folder = tmp_path / "tmp"
    folder.mkdir()
    return JobRun("a" * 64, payload, folder, {})


@pytest.fixture
def stored(job, tmp_path):
    """The job's segments as files elsewhere, in order."""
    paths = []
    for segment in job.segments:
        paths.append(tmp_path / f"{segment.index}.h264")
        frames = [np.full((72, 64), 16 + 5 * k, np.uint8) for k in segment.frames]
        paths[-1].write_bytes(encode_segment(frames, 64, 48, job.payload.fps))
    return paths


@pytest.fixture
def finisher():
    own = VideoAssembler()
    yield own
    own.close()


def settle(finisher) -> list:
    """What ended until nothing is under way."""
    over = finisher.ended()
    while finisher.active:
        finisher.wait(10)
        over += finisher.ended()
    return over


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_segments_in_any_order_make_the_same_video(finisher, job, stored, order):
    over = []
    for index in order:
        assert over == []
        job.paths[index] = stored[index]
        finisher.look_at(job)
        over = settle(finisher)
    ((name, future),) = over
    facts = future.result()
    assert (name, facts["frames"]) == (job.name, 18)
    assert frame_digests(facts["path"]) == [digest for path in stored for digest in frame_digests(path)]


def test_a_job_given_up_leaves_no_part_of_a_video(finisher, job, stored, monkeypatch):
    """And the driver's loop, which gives it up, removes no file itself."""
    threads, drop = [], Joiner.drop
    monkeypatch.setattr(Joiner, "drop", lambda film: (threads.append(threading.current_thread()), drop(film)))
    job.paths[0] = stored[0]
    finisher.look_at(job)
    assert settle(finisher) == []
    assert [path.suffix for path in job.tmp.iterdir()] == [".mp4"]
    finisher.forget(job.name)
    finisher.close()
    assert list(job.tmp.iterdir()) == []
    assert len(threads) == 1 and threading.main_thread() not in threads


def test_a_damaged_segment_is_told_at_once(finisher, job, stored):
    stored[0].write_bytes(b"rubbish")
    job.paths[0] = stored[0]
    finisher.look_at(job)
    ((name, future),) = settle(finisher)
    assert name == job.name and future.exception().code == "BAD_SEGMENT"
    assert list(job.tmp.iterdir()) == []


def test_a_video_that_failed_removes_no_file_of_the_next_one(job, stored):
    """What was not finished is removed on a thread, when the same job's next video may have been begun."""
    stored[0].write_bytes(b"rubbish")
    job.paths[0] = stored[0]
    assembly = VideoAssembly(job)
    with pytest.raises(UnusableSegments):
        assembly.go_on()
    following = job.tmp / f"{job.name[:16]}.mp4"
    following.touch()
    assembly.drop()
    assert following.exists()


def test_a_stop_waits_for_a_poster_that_is_made(finisher, job, stored, monkeypatch):
    begun, goes_on, made = threading.Event(), threading.Event(), []
    monkeypatch.setattr(
        "mandel.driver.jobs.video_assembly.save_poster",
        lambda *_: (begun.set(), goes_on.wait(60), made.append(True)),
    )
    job.paths[2] = stored[2]
    finisher.look_at(job)
    assert begun.wait(60)
    closing = threading.Thread(target=finisher.close)
    closing.start()
    closing.join(0.3)
    assert closing.is_alive()
    goes_on.set()
    closing.join(60)
    assert made and not closing.is_alive()


def test_a_large_machine_decodes_many_segments_at_once(job, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 32)
    finisher, at_once = VideoAssembler(), threading.Barrier(16)
    monkeypatch.setattr("mandel.driver.jobs.video_assembly.check_segment", lambda *_: at_once.wait(60))
    for number in range(16):
        finisher.save(job, number % 3, lambda: memoryview(b"bytes"), number)
    while finisher.saving:
        for _, future in finisher.saved():
            future.result()  # a broken barrier would say that too few were there
        finisher.wait(10)
    finisher.close()

"""Which payload a recoloured job has, and what a strip's troubles mean for a job: nothing."""

import json
import logging
import threading

import pytest

from mandel.errors import MandelError, StoreError
from mandel.payload.payload import parse
from mandel.payload.recolour import recoloured
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.service.jobs import strips
from mandel.service.jobs.job import Job
from mandel.settings import PayloadLimits
from mandel.store.states import DONE, QUEUED
from mandel.store.store import Record

SHARED = {"sampling": "shared", "keep_strips": True, "frame_width": 640, "frame_height": 360}


def job(state: str = DONE, source: str | None = None, digit: str = "a", **fields) -> Job:
    payload = parse(loads(json.dumps(SHARED | fields).encode()))
    record = Record(digit * 64, payload.canonical(), 1, state, 0.0, None, {}, source=source)
    return Job(threading.RLock(), record, lambda: payload)


def changed(of: Job, source: Job | None = None, **changes):
    source, asked = source or of, loads(json.dumps(changes).encode())
    strips.check_kept(of, source)
    return recoloured(of.payload, source.payload, source.id, asked, PayloadLimits())


def test_only_what_was_changed_differs():
    asked = changed(job(), palette="ember", fps=60)
    expected = parse(
        loads(json.dumps(SHARED | {"palette": "ember", "fps": 60, "keep_strips": False}).encode())
    )
    assert asked == expected and asked.job_id() == expected.job_id()


def test_larger_frames_say_how_dense_they_are_and_smaller_ones_keep_what_was_asked():
    assert changed(job(), frame_width=320, frame_height=180).strip_density == "1.1"
    assert changed(job(), frame_width=1280, frame_height=720).strip_density == "0.55"
    with pytest.raises(MandelError) as failure:
        changed(job(), frame_width=1920, frame_height=1080)
    assert failure.value.code == "OUT_OF_RANGE" and "1408x792" in failure.value.message


def test_a_recoloured_job_is_recoloured_from_the_first_one():
    first = job()
    second = job(
        source=first.id, digit="b", keep_strips=False, frame_width=320, frame_height=180, palette="ember"
    )
    asked = changed(second, first, frame_width=640, frame_height=360)
    assert (asked.palette, asked.strip_density) == ("ember", "1.1")


@pytest.mark.parametrize(
    "of, words",
    [
        (job(keep_strips=False), "keep_strips"),
        (job(QUEUED), "not done"),
    ],
    ids=["nothing kept", "not done"],
)
def test_without_strips_it_is_refused_with_what_to_do(of, words):
    with pytest.raises(MandelError) as failure:
        changed(of)
    assert failure.value.code == "NO_STRIPS" and words in failure.value.message


class FullDisk:
    """A store whose disk has no room for strips."""

    def __init__(self):
        self.strips = self

    def add(self, *_):
        raise StoreError("DISK_FULL", "no space left")

    remove = add


def test_a_full_disk_costs_a_job_its_strips_and_one_line(tmp_path, caplog):
    one = job()
    with caplog.at_level(logging.WARNING, "mandel"):
        for strip in range(3):
            (path := tmp_path / f"{strip}").write_bytes(b"samples")
            event = control.Strip(
                job="a" * 64, strip=strip, found=False, base=0, path=str(path), bytes=7, sha256="0" * 64
            )
            strips.made(one, FullDisk(), event)
            assert not path.exists()
    assert one.strips == {"iterated": 3, "found": 0}
    assert len(caplog.records) == 1 and "not stored" in caplog.text
    strips.unneeded(job(keep_strips=False), FullDisk())


def test_kept_strips_are_not_removed():
    for keeper in (job(), job(keep_strips=False, source="b" * 64)):
        strips.unneeded(keeper, FullDisk())  # which would have logged

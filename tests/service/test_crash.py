"""SIGKILL to the head, at each step on disk and at random moments: no accepted job is lost, no file is torn."""

import random
import signal
import time

import pytest

from mandel.errors import TransferError
from mandel.store.store import Store
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for

STEPS = [
    "job.write.after",
    "job.fsync.after",
    "job.rename.after",
    "job.folder.after",
    "job.commit.before",
    "job.commit.after",
    "segment.fsync.before",
    "segment.rename.before",
    "segment.rename.after",
    "segment.commit.before",
    "segment.commit.after",
    "poster.rename.after",
    "proof.rename.after",
    "video.fsync.after",
    "video.rename.before",
    "video.rename.after",
    "video.folder.after",
    "video.commit.before",
    "video.commit.after",
    "thin.commit.before",
    "thin.commit.after",
]


def whole_files(db) -> None:
    """Every file of every job is what its row says; nothing is without a row."""
    store = Store(db)
    try:
        assert store.recovery.removed == store.recovery.damaged == 0
        assert store.recovery.lost == store.recovery.rebuilt == store.recovery.forgotten == 0
        for row in store.table(1000):
            with store.open(row["id"]).file as file:
                assert file.read() == expected_video(row["id"], row["frames"])
        assert not list(db.glob("jobs/*/*/segments"))  # their pictures lie once on the disk
    finally:
        store.close()


@pytest.mark.parametrize(
    "step", ["job.write", "job.commit", "segment.fsync", "segment.commit", "video.commit"]
)
def test_a_full_disk_fails_the_job_in_words_and_no_more(heads, step):
    head = heads(failpoint=f"{step}.before:enospc")
    reply = head.ask(**SMALL)
    assert reply.code == "DISK_FULL" and "free some" in reply.last["message"]
    reply = head.ask(**SMALL)
    assert reply.video == expected_video(reply.parts[0].fields["job"])
    assert head.stop() == 0
    whole_files(head.db)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(heads, step):
    head = heads(failpoint=f"{step}:kill")
    told = []
    with pytest.raises((TransferError, ConnectionError)):
        sock, reply = head.send(**SMALL)
        with sock:
            while True:
                reply.step()
                told.append(reply.last["job"])
    assert head.process.wait(20) == -signal.SIGKILL
    wait_for(lambda: not head.processes(), 20, "the driver died with its head")
    again = heads()
    reply = again.ask(op="attach", job=told[0]) if told else again.ask(**SMALL)
    job = reply.parts[0].fields["job"]
    assert reply.video == expected_video(job)
    assert len(again.lines("rendered")) <= SMALL["num_frames"] + 5  # the segment in hand
    assert again.stop() == 0
    whole_files(again.db)


def test_killed_again_and_again(heads):
    rng = random.Random(7)
    frames, accepted = 60, set()
    for life in range(8):
        head = heads()
        for number in range(3):
            sock, reply = head.send(**SMALL | {"num_frames": frames, "maxiter": 20 + 3 * life + number})
            with sock:
                reply.step()
                accepted.add(reply.last["job"])
        time.sleep(rng.random() * 0.2)  # the moment of the kill is the test's input
        head.kill()
        wait_for(lambda: not head.processes(), 20, "the driver died with its head")
    head = heads()
    for job in accepted:
        assert head.ask(op="attach", job=job).video == expected_video(job, frames)
    rendered = len(head.lines("rendered"))
    print(
        f"8 kills, {len(accepted)} jobs accepted, 0 lost, {rendered - len(accepted) * frames} frames rendered twice"
    )
    assert rendered - len(accepted) * frames <= 8 * 16 * 5  # a segment of each job that was running
    assert head.stop() == 0
    whole_files(head.db)

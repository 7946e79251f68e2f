"""What was found of frames reaches clients, and stays with the job."""

import json
import sqlite3
from pathlib import Path

import pytest

from mandel.errors import TransferError
from mandel.store import index
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for

SHORT = {"flat": False, "reached": 0.8, "late": 0.2, "maxiter": 10, "auto": False}
NOTES = {
    "reached": {"frame": 0, "share": 0.8, "maxiter": 10},
    "short": {
        "frames": 12,
        "first": 0,
        "last": 11,
        "frame": 0,
        "share": 0.8,
        "missing": 0.2,
        "maxiter": 10,
        "auto": False,
    },
}


def test_in_progress_in_the_result_and_of_a_job_done_earlier(head):
    (head.orders / "found").write_text(json.dumps(SHORT))
    reply = head.ask(**SMALL)
    job = reply.last["job"]
    assert reply.video and reply.last["state"] == "done" and reply.last["notes"] == NOTES
    assert head.ask(op="status", job=job).last["notes"] == NOTES
    assert head.ask(op="attach", job=job).parts[0].fields["notes"] == NOTES


def test_while_it_is_rendered_and_paused(heads):
    head = heads()
    (head.orders / "found").write_text(json.dumps(SHORT))
    sock, reply = head.send(**SMALL | {"num_frames": 5000})
    with sock:
        reply.step()
        job = reply.last["job"]
        wait_for(lambda: head.ask(op="status", job=job).last["segments"] > 2, 30, "some segments are stored")
        told = head.ask(op="pause", job=job).last
    assert told["state"] == "paused" and told["notes"]["short"]["frames"] == told["done"] >= 15
    assert told["notes"]["short"]["last"] == told["done"] - 1
    head.ask(op="cancel", job=job)


@pytest.mark.parametrize("step", ["video.rename.before", "video.commit.before"])
def test_after_the_head_died_with_all_segments_stored(heads, step):
    """The next head renders none of them."""
    head = heads(failpoint=f"{step}:kill")
    (head.orders / "found").write_text(json.dumps(SHORT))
    with pytest.raises((TransferError, ConnectionError)):
        sock, reply = head.send(**SMALL)
        with sock:
            reply.read()
    job = reply.parts[0].fields["job"]
    wait_for(lambda: not head.processes(), 20, "the driver died with its head")
    rendered = head.lines("rendered")
    again = heads()
    reply = again.ask(op="attach", job=job)
    assert reply.video == expected_video(job) and again.lines("rendered") == rendered
    assert reply.last["notes"] == NOTES == again.ask(op="status", job=job).last["notes"]


def test_a_driver_that_says_nothing(head):
    reply = head.ask(**SMALL)
    assert reply.video and "notes" not in reply.last


def test_an_index_without_notes(tmp_path):
    """As the version before left it, with a segment."""
    steps = sorted((Path(index.__file__).parent / "migrations").glob("*.sql"))
    before = [step for step in steps if step.name < "0007"]
    db = sqlite3.connect(tmp_path / "index.sqlite3")
    for step in before:
        db.executescript(step.read_text())
    db.execute("PRAGMA user_version=6")
    db.execute("INSERT INTO jobs (id, payload, frames, state, asked) VALUES ('a', '{}', 10, 'queued', 1.0)")
    db.execute("INSERT INTO files VALUES ('a', 'segment', 0, 5, 1, 'x')")
    db.commit()
    db.close()
    opened = index.Index(tmp_path / "index.sqlite3")
    try:
        assert [tuple(row) for row in opened.read("SELECT frames, notes FROM files")] == [(5, None)]
    finally:
        opened.close()


def test_notes_in_an_index_that_make_no_sense_are_not_told(heads):
    head = heads(failpoint="video.rename.before:kill")
    (head.orders / "found").write_text(json.dumps(SHORT))
    with pytest.raises((TransferError, ConnectionError)):
        sock, reply = head.send(**SMALL)
        with sock:
            reply.read()
    wait_for(lambda: not head.processes(), 20, "the driver died with its head")
    db = sqlite3.connect(head.db / "index.sqlite3")
    for number, text in enumerate(['{"short": {"frames": "x"}}', "no JSON", "[]"]):
        db.execute("UPDATE files SET notes = ? WHERE kind = 'segment' AND number = ?", (text, number))
    db.commit()
    db.close()
    reply = heads().ask(op="attach", job=reply.parts[0].fields["job"])
    assert reply.video and "notes" not in reply.last

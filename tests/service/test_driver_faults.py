"""The driver dies, lies, hangs or fails: jobs end well, or clearly."""

import json
import os
import signal
import time

import pytest

from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for


def test_a_dead_driver_is_replaced_and_its_job_goes_on(head):
    head.order("hold")
    sock, reply = head.send(**SMALL)
    reply.step()
    job = reply.last["job"]
    wait_for(lambda: head.ask(op="status", job=job).last["state"] == "running", 20, "it runs")
    os.kill(int(head.lines("lives")[-1]), signal.SIGKILL)
    wait_for(lambda: len(head.lines("lives")) == 2, 20, "another driver")
    head.withdraw("hold")
    with sock:
        assert reply.read().video == expected_video(job)


def test_finished_segments_are_not_rendered_again(head):
    """The driver dies at frame 12, in the third segment: frames 10 and 11 are lost, ten are stored."""
    head.ask(**SMALL | {"num_frames": 1})
    before, lives = len(head.lines("rendered")), len(head.lines("lives"))
    (head.orders / "crash").write_text("12")
    reply = head.ask(**SMALL | {"num_frames": 30})
    job = reply.parts[0].fields["job"]
    assert reply.video == expected_video(job, 30)
    assert not (head.orders / "crash").exists() and len(head.lines("lives")) == lives + 1
    frames = [line.split()[1] for line in head.lines("rendered")[before:] if line.startswith(job)]
    assert sorted(frames, key=int) == sorted([*map(str, range(30)), "10", "11"], key=int)


def test_a_job_that_kills_every_driver_fails_and_others_go_on(head):
    head.order("poison")
    reply = head.ask(**SMALL)
    assert reply.code == "DRIVER_FAILED" and "4 times" in reply.last["message"]
    head.withdraw("poison")
    job = reply.parts[0].fields["job"]
    assert head.ask(op="status", job=job).last["error"]["code"] == "DRIVER_FAILED"
    assert head.ask(**SMALL).video == expected_video(job)  # asked again, tried again


def states(head, jobs) -> list[str]:
    return [head.ask(op="status", job=job).last["state"] for job in jobs]


@pytest.mark.parametrize("when, place", [("before", 4), ("after", 0)])
def test_a_job_that_ends_its_driver_fails_alone(head, when, place):
    """Before its first frame, and after telling of one each time, beside six jobs that take longer than it."""
    payloads = [SMALL | {"maxiter": 20 + number} for number in range(7)]
    head.order("hold")
    jobs = []
    for fields in payloads:
        sock, reply = head.send(**fields)
        with sock:
            jobs.append(reply.step() and reply.last["job"])
    (head.orders / "culprit").write_text(f"{jobs[place]} {when}")
    (head.orders / "slow").write_text("1")
    wait_for(lambda: states(head, jobs) == ["running"] * 7, 20, "all are in the driver's hands")
    head.withdraw("hold")
    wait_for(lambda: states(head, jobs[place : place + 1]) == ["failed"], 120, "the culprit fails")
    wait_for(lambda: states(head, jobs).count("done") == 6, 120, "the others are done")
    error = head.ask(op="status", job=jobs[place]).last["error"]
    assert error["code"] == "DRIVER_FAILED" and "4 times" in error["message"]
    print(f"{len(head.lines('lives'))} drivers")
    assert len(head.lines("lives")) <= 10


def test_a_driver_killed_from_outside_is_no_fault_of_its_job(head):
    """Five times in a row without a finished segment: as an operator, or the kernel, may do."""
    head.order("hold")
    sock, reply = head.send(**SMALL)
    job = reply.step() and reply.last["job"]
    for life in range(1, 6):
        wait_for(
            lambda: len(head.lines("lives")) == life and states(head, [job]) == ["running"], 30, "it runs"
        )
        os.kill(int(head.lines("lives")[-1]), signal.SIGKILL)
    head.withdraw("hold")
    with sock:
        assert reply.read().video == expected_video(job)


@pytest.mark.parametrize(
    "said",
    [
        {"event": "frame", "frame": "one"},
        {"event": "frame"},
        {"event": "segment", "index": 0, "path": "PRECIOUS", "frames": 5, "sha256": "0" * 64},
        {"event": "segment", "index": 0, "path": "TMP/../../../precious", "frames": 5, "sha256": "0" * 64},
        {"event": "video", "path": "PRECIOUS", "frames": 12, "sha256": "0" * 64},
        {"event": "strip", "strip": 1, "path": "PRECIOUS"},
        {"event": "stage", "stage": "reference", "done": None, "total": 1},
    ],
)
def test_nonsense_that_a_driver_says_costs_the_job_in_hand_an_attempt_and_nobody_anything_else(
    head, tmp_path, said
):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    text = json.dumps(said).replace("PRECIOUS", str(precious))
    (head.orders / "nonsense").write_text(text)
    reply = head.ask(**SMALL)
    assert reply.video == expected_video(reply.parts[0].fields["job"])
    assert not (head.orders / "nonsense").exists(), "it was said"
    assert precious.read_text() == "mine" and "is not right" in head.said()
    assert len(head.lines("lives")) == 1


def test_a_file_named_for_a_job_that_nobody_knows_is_left_alone(head, tmp_path):
    (folder := tmp_path / "folder").mkdir()
    said = {
        "event": "segment",
        "job": "0" * 64,
        "index": 0,
        "path": str(folder),
        "frames": 5,
        "sha256": "0" * 64,
    }
    (head.orders / "nonsense").write_text(json.dumps(said))
    reply = head.ask(**SMALL)
    assert reply.video and folder.is_dir()


def test_a_file_that_is_not_what_the_driver_said_is_made_again(head):
    head.order("torn")
    reply = head.ask(**SMALL)
    assert reply.video == expected_video(reply.parts[0].fields["job"])
    assert "not what its writer wrote" in head.said()


def test_a_failed_frame_fails_its_job_by_name(head):
    head.order("fail")
    reply = head.ask(**SMALL)
    assert reply.code == "FRAME_FAILED" and "as ordered (frame 0)" in reply.last["message"]
    assert head.ask(**SMALL | {"maxiter": 11}).video


def test_a_driver_that_never_gets_ready_delays_nothing_but_jobs(heads):
    (head := heads(wait=False)).order("mute")
    wait_for(lambda: "listening on" in head.said(), 20, "the head listens")
    wait_for(lambda: head.lines("lives"), 20, "the driver lives")
    sock, reply = head.send(**SMALL)
    reply.step()
    if reply.last["state"] == "queued":
        assert reply.last["renderer"]["state"] in ("starting", "ready")
    head.withdraw("mute")
    with sock:
        assert reply.read().video


def test_a_stopped_driver_is_replaced_and_its_job_goes_on(heads):
    head = heads("--driver-timeout", "3")
    head.order("hold")
    sock, reply = head.send(**SMALL)
    reply.step()
    job = reply.last["job"]
    wait_for(lambda: head.ask(op="status", job=job).last["state"] == "running", 20, "it runs")
    head.order("stop")
    began = time.monotonic()
    wait_for(lambda: len(head.lines("lives")) == 2, 20, "another driver")
    print(f"a stopped driver was replaced after {time.monotonic() - began:.1f} s, with a limit of 3 s")
    assert "said nothing for too long" in head.said()
    head.withdraw("hold")
    with sock:
        assert reply.read().video == expected_video(job)


def test_a_deaf_driver_is_killed(heads):
    head = heads("--drain-timeout", "1")
    head.order("deaf")
    wait_for(lambda: "is ready" in head.said(), 20, "the driver is ready")
    assert head.stop() == 0
    assert not head.processes()


@pytest.mark.parametrize("order", ["hold", "mute"])
def test_the_driver_dies_with_its_head(heads, order):
    head = heads(wait=False)
    head.order(order)
    wait_for(lambda: head.lines("lives"), 20, "the driver lives")
    head.kill()
    wait_for(lambda: not head.processes(), 10, "the driver is gone")

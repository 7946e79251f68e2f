"""Pause, resume, retry, priority, pins and eviction, with the stand-in driver."""

import json
import socket
import struct
import threading

from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for


def start(head, **fields) -> str:
    """Sends a payload and leaves; the job's id."""
    sock, reply = head.send(**SMALL | fields)
    with sock:
        reply.step()
    return reply.last["job"]


def state(head, job: str) -> str:
    return head.ask(op="status", job=job).last["state"]


def test_a_paused_job_rests_and_goes_on(head):
    head.order("hold")
    job = start(head)
    wait_for(lambda: state(head, job) == "running", 20, "it runs")
    assert head.ask(op="pause", job=job).last["state"] == "paused"
    assert head.ask(op="pause", job=job).last["state"] == "paused"
    head.withdraw("hold")
    other = head.ask(**SMALL | {"maxiter": 11})
    assert other.video and state(head, job) == "paused"
    assert head.ask(op="status").last["jobs"]["paused"] == 1
    waiting = {}
    follower = threading.Thread(target=lambda: waiting.update(reply=head.ask(**SMALL)))
    follower.start()
    assert head.ask(op="resume", job=job).last["state"] in ("queued", "running")
    follower.join(30)
    assert waiting["reply"].video == expected_video(job)
    for op in ("pause", "resume", "retry"):
        assert head.ask(op=op, job=job).last["state"] == "done"


def test_a_pause_survives_a_kill(heads):
    head = heads()
    head.order("hold")
    job = start(head)
    head.ask(op="pause", job=job)
    head.kill()
    wait_for(lambda: not head.processes(), 20, "the driver died with its head")
    head = heads()
    head.withdraw("hold")
    assert head.ask(**SMALL | {"maxiter": 11}).video and state(head, job) == "paused"
    head.ask(op="resume", job=job)
    assert head.ask(op="attach", job=job).video == expected_video(job)


def test_a_paused_job_can_be_cancelled_and_retried(head):
    head.order("hold")
    job = start(head)
    head.ask(op="pause", job=job)
    assert head.ask(op="cancel", job=job).last["state"] == "cancelled"
    assert head.ask(op="resume", job=job).last["state"] == "cancelled"
    head.withdraw("hold")
    assert head.ask(op="retry", job=job).last["state"] in ("queued", "running", "done")
    assert head.ask(op="attach", job=job).video == expected_video(job)


def test_a_failed_job_is_retried(head):
    head.order("fail")
    reply = head.ask(**SMALL)
    assert reply.code == "FRAME_FAILED"
    job = reply.parts[0].fields["job"]
    head.ask(op="retry", job=job)
    assert head.ask(op="attach", job=job).video == expected_video(job)
    assert head.ask(op="retry", job="0" * 64).code == "NOT_FOUND"


def test_a_priority_is_no_part_of_the_job(head):
    head.order("hold")
    job = start(head, priority=-3)
    assert start(head, priority=5) == job == start(head)
    assert head.ask(op="status", job=job).last["priority"] == 5
    head.withdraw("hold")


def test_higher_priorities_go_first(head):
    head.order("hold")
    full = [start(head, maxiter=100 + k) for k in range(16)]  # the driver has its hands full
    wait_for(lambda: head.ask(op="status").last["jobs"]["running"] == 16, 20, "all run")
    late = [start(head, maxiter=200 + k, priority=k) for k in range(3)]
    head.ask(op="cancel", job=full[0])
    wait_for(lambda: state(head, late[2]) == "running", 20, "the highest priority is next")
    assert state(head, late[0]) == state(head, late[1]) == "queued"
    head.withdraw("hold")


def test_a_running_job_is_ranked_anew_at_once(head):
    head.order("hold")
    job = start(head)
    wait_for(lambda: state(head, job) == "running", 20, "it runs")
    assert start(head) == start(head, priority=0) == start(head, priority=7) == job
    wait_for(lambda: head.lines("changes"), 20, "the driver was told")
    assert head.lines("changes") == [f"{job} 7 127.0.0.1"]


def test_many_jobs_of_one_client_do_not_keep_another_waiting(heads):
    head = heads()
    head.order("hold")
    for k in range(20):
        start(head, maxiter=100 + k, client="many", priority=9)
    wait_for(lambda: head.ask(op="status").last["jobs"]["running"] == 16, 20, "the driver has its hands full")
    alone = [start(head, maxiter=200 + k, client="few") for k in range(2)]
    wait_for(lambda: state(head, alone[0]) == "running", 20, "the other client's first job runs")
    assert head.ask(op="status", job=alone[0]).last["client"] == "few@127.0.0.1"
    assert (
        head.ask(op="status").last["jobs"] | {"running": 17, "queued": 5}
        == head.ask(op="status").last["jobs"]
    )
    head.kill()
    wait_for(lambda: not head.processes(), 20, "the driver died with its head")
    head = heads()
    wait_for(lambda: head.ask(op="status").last["jobs"]["running"] == 16, 20, "the driver has its hands full")
    assert [state(head, job) for job in alone] == ["running"] * 2  # whose jobs they are was kept
    head.withdraw("hold")


def test_a_job_that_several_ask_for_counts_for_the_one_with_the_fewest(head):
    head.order("hold")
    jobs = [start(head, maxiter=100 + k, client="many") for k in range(3)]
    wait_for(lambda: state(head, jobs[0]) == "running", 20, "it runs")
    assert start(head, maxiter=100, client="few") == jobs[0] == start(head, maxiter=100, client="many")
    assert head.ask(op="status", job=jobs[0]).last["client"] == "few@127.0.0.1"
    wait_for(lambda: head.lines("changes"), 20, "the driver was told")
    assert head.lines("changes") == [f"{jobs[0]} 0 few@127.0.0.1"]


def test_unfinished_jobs_are_bounded_and_none_is_lost(heads):
    head = heads("--max-jobs", "5", "--max-jobs-per-client", "2")
    head.order("hold")
    jobs = [start(head, maxiter=100 + k, client=f"client {k // 2}") for k in range(4)]
    for client in ("client 0", "somebody else"):
        reply = head.ask(**SMALL | {"maxiter": 99}, client=client)
        assert reply.code == "BUSY" and reply.last["limit"]["retry_after"] > 0
    assert start(head, maxiter=100, client="somebody else") == jobs[0]  # one that there is can be joined
    head.ask(op="cancel", job=jobs[0])
    assert start(head, maxiter=99, client="client 0") not in jobs
    assert head.ask(op="retry", job=jobs[0]).code == "BUSY"
    head.withdraw("hold")
    for job in jobs[1:]:
        assert head.ask(op="attach", job=job).video == expected_video(job)
    head.ask(op="retry", job=jobs[0])
    assert head.ask(op="attach", job=jobs[0]).video == expected_video(jobs[0])


def test_attach_to_a_job_in_each_state(head):
    head.order("fail")
    failed = head.ask(**SMALL | {"maxiter": 20}).parts[0].fields["job"]
    done = head.ask(**SMALL | {"maxiter": 21}).parts[0].fields["job"]
    head.order("hold")
    running, paused, cancelled = [start(head, maxiter=30 + k) for k in range(3)]
    wait_for(lambda: state(head, cancelled) == "running", 20, "they run")
    head.ask(op="pause", job=paused)
    head.ask(op="cancel", job=cancelled)
    for job, now in ((running, "running"), (paused, "paused")):
        sock, reply = head.send(op="attach", job=job)
        with sock:
            assert reply.step().fields["state"] == now
    assert head.ask(op="attach", job=failed).code == "FRAME_FAILED"
    assert head.ask(op="attach", job=cancelled).code == "CANCELLED"
    assert head.ask(op="attach", job=done).video == expected_video(done)


def test_bad_clients(head):
    for value, code in ((7, "WRONG_TYPE"), ("x" * 65, "OUT_OF_RANGE"), ("a\nb", "OUT_OF_RANGE")):
        assert head.ask(**SMALL, client=value).code == code, value
    assert head.ask(op="list", client="me").code == "UNKNOWN_FIELD"


def test_bad_priorities(head):
    for value, code in ((10, "OUT_OF_RANGE"), (1.5, "WRONG_TYPE"), ("1", "WRONG_TYPE"), (True, "WRONG_TYPE")):
        assert head.ask(**SMALL, priority=value).code == code, value
    assert head.ask(op="list", priority=1).code == "UNKNOWN_FIELD"


def test_a_job_that_cannot_fit_the_disk_is_refused(heads):
    head = heads("--max-pixels", str(10**18))
    reply = head.ask(num_frames=100_000, frame_width=16_384, frame_height=16_128, maxiter=10)
    assert reply.code == "DISK_FULL" and "needed" in reply.last["message"]
    assert head.ask(op="list").last["jobs"] == []


def test_pins_are_told(head):
    job = head.ask(**SMALL).parts[0].fields["job"]
    assert head.ask(op="pin", job=job).last["pinned"] is True
    assert head.ask(op="unpin", job=job).last["pinned"] is False


def test_mistakes_and_hang_ups_of_clients_are_no_warnings(head):
    assert head.ask(num_frame=3).code == "UNKNOWN_FIELD"
    with head.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while sock.recv(4096):
            pass
    with head.connect() as sock:  # closed by a reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: "went away" in head.said(), 60, "the hang-up is told")
    assert "UNKNOWN_FIELD" in head.said() and "speaks http" in head.said()
    assert "WARNING" not in head.said()


def test_a_job_that_may_not_fit_db_is_refused(heads):
    head = heads("--max-db-bytes", str(40 << 20))
    reply = head.ask(num_frames=1_100, frame_width=1920, frame_height=1080, maxiter=10)
    assert reply.code == "DISK_FULL" and "--max-db-bytes" in reply.last["message"]
    assert head.ask(op="list").last["jobs"] == [] and head.ask(**SMALL).video


def test_unfinished_jobs_keep_their_room(heads):
    """Each of them would fit alone."""
    head = heads("--max-db-bytes", str(100 << 20))
    head.order("hold")
    sizes = {"frame_width": 1920, "frame_height": 1080, "num_frames": 1_500, "maxiter": 10}  # 62 MB
    job = start(head, **sizes)
    reply = head.ask(**sizes | {"maxiter": 11})
    assert reply.code == "DISK_FULL" and "under way" in reply.last["message"]
    head.ask(op="cancel", job=job)
    other = start(head, **sizes | {"maxiter": 11})
    assert head.ask(op="retry", job=job).code == "DISK_FULL"
    head.ask(op="cancel", job=other)


def test_what_the_cluster_cannot_hold_is_refused_before_it_is_accepted(head):
    said = {
        "event": "cluster",
        "store": 10**9,
        "nodes": [{"id": "here", "resources": {"CPU": 1, "memory": 2 << 30}}],
    }
    head.tell("say", json.dumps(said))
    wait_for(lambda: "store" in head.ask(op="status").last["cluster"], 20, "the head knows the cluster")
    reply = head.ask(frame_width=16_384, frame_height=2, num_frames=2, sampling="shared", maxiter=10)
    assert reply.code == "JOB_TOO_BIG" and 'sampling "exact"' in reply.last["message"]
    reply = head.ask(frame_width=16_384, frame_height=16_128, num_frames=1, maxiter=10)
    assert reply.code == "JOB_TOO_BIG" and "2048 MiB" in reply.last["message"]
    assert head.ask(op="list").last["jobs"] == []
    assert head.ask(**SMALL, sampling="shared").video

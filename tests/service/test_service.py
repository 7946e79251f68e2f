"""A head in a process of its own, the stand-in as its driver: what clients see."""

import json
import random
import signal
import socket
import subprocess
import sys
import threading

import pytest

from mandel.errors import MandelError
from mandel.service.net.listener import listen
from mandel.version import VERSION
from tests.service.heads import SMALL, Head, Reply, expected_video
from tests.support.processes import wait_for


def in_threads(calls):
    results = [None] * len(calls)

    def run(number, call):
        results[number] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_a_video_and_again_from_the_store(head):
    first = head.ask(**SMALL)
    job = first.parts[0].fields["job"]
    assert first.video == expected_video(job) and {part.name for part in first.parts} == {"progress"}
    assert head.ask(**SMALL).video == first.video == head.ask(op="attach", job=job).video
    assert len(head.lines("rendered")) == SMALL["num_frames"]


def variants(number: int) -> list[bytes]:
    """One payload written in many ways."""

    def number_text(value):
        return random.choice([f"{value}", f"{value}.0", f"{value}e0"])

    texts = []
    for _ in range(number):
        items = list(SMALL.items())
        random.shuffle(items)
        space = random.choice(["", " ", "\n\t"])
        texts.append(
            (
                "{"
                + f",{space}".join(f'"{name}"{space}:{space}{number_text(value)}' for name, value in items)
                + "}"
            ).encode()
        )
    return texts


def test_identical_requests_share_one_render(heads):
    head = heads()
    head.order("hold")

    def ask(text):
        with head.connect() as sock:
            sock.sendall(text)
            reply = Reply(sock)
            reply.step()
            ready.release()
            return reply.read().video

    ready = threading.Semaphore(0)
    opener = threading.Thread(target=lambda: [ready.acquire() for _ in range(50)] and head.withdraw("hold"))
    opener.start()
    videos = in_threads([lambda text=text: ask(text) for text in variants(50)])
    opener.join()
    assert len(set(videos)) == 1 and videos[0] and len(head.lines("rendered")) == SMALL["num_frames"]
    assert head.stop() == 0
    again = heads()
    assert again.ask(**SMALL).video == videos[0] and len(again.lines("rendered")) == SMALL["num_frames"]


def test_status_and_list(head):
    head.order("hold")
    sock, reply = head.send(**SMALL)
    reply.step()
    job = reply.last["job"]
    wait_for(lambda: head.ask(op="status", job=job).last["state"] == "running", 20, "the job runs")
    told = head.ask(op="status").last
    assert told["version"] == VERSION and told["jobs"]["running"] == 1 and told["driver"]["state"] == "ready"
    assert [node["id"] for node in told["cluster"]["nodes"]] == ["here", "dead"]
    assert told["live"][0]["job"] == job and told["connections"] >= 2
    assert [row["job"] for row in head.ask(op="list").last["jobs"]] == [job]
    head.withdraw("hold")
    with sock:
        assert reply.read().video
    told = head.ask(op="status", job=job).last
    assert (told["state"], told["done"], told["nodes"]) == ("done", 12, {"here": 12})
    assert told["hosts"] == {"here": "me"}
    assert told["payload"]["num_frames"] == 12


def test_cancel_and_go_on(head):
    head.order("hold")
    sock, reply = head.send(**SMALL)
    other, second = head.send(**SMALL | {"maxiter": 11})
    reply.step()
    second.step()
    job = reply.last["job"]
    wait_for(lambda: head.ask(op="status", job=job).last["state"] == "running", 20, "it runs")
    assert [head.ask(op="cancel", job=job).last["state"] for _ in range(2)] == ["cancelled"] * 2
    with sock, other:
        assert reply.read().code == "CANCELLED"
        assert head.ask(op="attach", job=job).code == "CANCELLED"
        head.withdraw("hold")
        assert second.read().video  # the other job never noticed
    assert not list(head.db.rglob(f"{job}/video.mp4"))
    wait_for(lambda: not list((head.db / "tmp").iterdir()), 20, "nothing is left of it in tmp")
    assert head.ask(**SMALL).video == expected_video(job)
    assert head.ask(op="cancel", job=job).last["state"] == "done"


def test_unknown_jobs_are_all_alike(head):
    answers = [
        head.ask(op=op, job=job).last
        for op in ("attach", "status", "cancel")
        for job in ("0" * 64, "A" * 64, "../../etc/passwd", "")
    ]
    assert all(answer == answers[0] for answer in answers) and answers[0]["code"] == "NOT_FOUND"


def test_many_jobs_all_finish(head):
    replies = in_threads([lambda i=i: head.ask(**SMALL | {"maxiter": 10 + i}) for i in range(40)])
    assert all(reply.video == expected_video(reply.parts[0].fields["job"]) for reply in replies)


def test_a_damaged_video_is_made_again(head):
    first = head.ask(**SMALL)
    job = first.parts[0].fields["job"]
    video = head.db / "jobs" / job[:2] / job / "video.mp4"
    for damage in (lambda data: data[:-1], lambda data: b"x" + data[1:], lambda data: b""):
        video.write_bytes(damage(video.read_bytes()))
        replies = in_threads([lambda: head.ask(**SMALL)] * 5)
        assert all(reply.video == first.video for reply in replies) and video.read_bytes() == first.video
    assert (
        len(head.lines("rendered")) == 4 * SMALL["num_frames"]
    )  # once more each time, not once for each client


def test_sigterm_keeps_running_jobs(heads):
    head = heads()
    head.order("hold")
    sock, reply = head.send(**SMALL)
    reply.step()
    job = reply.last["job"]
    assert head.stop() == 0
    with sock:
        assert reply.read().code == "STOPPING" and job in reply.last["message"]
    assert not head.processes()
    again = heads()
    assert "1 unfinished job goes on, with" in again.said()
    again.withdraw("hold")
    assert again.ask(op="attach", job=job).video == expected_video(job)


def test_a_second_signal_ends_at_once(heads):
    head = heads()
    head.order("deaf")
    wait_for(lambda: head.lines("lives") and "ready" in head.said(), 20, "the driver is ready")
    head.process.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping" in head.said(), 20, "it stops")
    head.process.send_signal(signal.SIGINT)
    assert head.process.wait(10) == 130
    wait_for(lambda: not head.processes(), 10, "the driver died with its head")


def test_a_second_head_is_refused_in_words(head, tmp_path):
    for options, code in (
        (["--port", str(head.port), "--db", str(tmp_path / "other")], "PORT_TAKEN"),
        (["--port", "0", "--db", str(head.db)], "DB_LOCKED"),
        (["--port", "0", "--db", "/proc/none"], "DB_NOT_WRITABLE"),
        (["--host", "256.1.1.1"], "CANNOT_LISTEN"),
    ):
        run = subprocess.run(
            [sys.executable, "ray_head.py", *options], capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 3 and run.stderr.startswith(f"{code}: "), run.stderr
        assert "Traceback" not in run.stderr


def test_options_that_make_no_sense():
    run = subprocess.run(
        [sys.executable, "ray_head.py"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"MANDEL_PORT": "many"},
    )
    assert run.returncode == 2 and "BAD_SETTING" in run.stderr


def test_limits_are_settings(heads):
    head = heads("--max-frames", "11", "--max-request-bytes", "200")
    reply = head.ask(**SMALL)
    assert reply.code == "JOB_TOO_BIG" and reply.last["limit"] == 11
    assert head.ask(op="list", job="x" * 200).code == "TOO_LARGE"


@pytest.mark.parametrize("close", [False, True])
def test_a_client_without_newline_that_may_half_close(head, close):
    with head.connect() as sock:
        sock.sendall(json.dumps(SMALL).encode())
        if close:
            sock.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    assert data.startswith(b"MIME-Version: 1.0\r\nContent-Type: multipart/form-data; boundary=")
    assert data.rstrip().endswith(b"--")


def test_nothing_is_left_over(heads):
    head = heads()
    assert isinstance(head, Head) and head.ask(**SMALL).video
    assert head.stop() == 0 and not head.processes()
    assert not list((head.db / "tmp").iterdir())


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_does_not_exist(port):
    with pytest.raises(MandelError) as caught:
        listen("127.0.0.1", port)
    assert caught.value.code == "CANNOT_LISTEN" and str(port) in caught.value.message

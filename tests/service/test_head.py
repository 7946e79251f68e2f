"""The head as a process: signals, descriptors, and what its log says of driver and cluster."""

import ctypes
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys

import pytest

from tests.service.heads import SMALL, Reply, expected_video
from tests.support.processes import wait_for
from tests.support.service import ROOT, Service

# While the main thread waits, it holds the lock of what it waits for: a signal comes just then, once.
SIGNAL_AT_THE_WORST_MOMENT = """
import os, signal, sys, threading
real, done = threading.Condition._release_save, []
def release(self):
    if threading.current_thread() is threading.main_thread() and os.path.exists(os.environ["STAND_IN"] + "/signal"):
        if not done and sys._getframe(3).f_code.co_name != "start":  # that of a thread, which is over soon
            done.append(1)
            open(os.environ["STAND_IN"] + "/hit", "w").close()
            signal.raise_signal(signal.SIGTERM)
            for _ in range(1000):
                pass
    return real(self)
threading.Condition._release_save = release
"""


def test_a_signal_in_the_worst_moment_is_not_lost(heads, tmp_path):
    """The handler of before took a lock that the main thread may hold just then, and waited for ever."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "signal").touch()
    (tmp_path / "hook" / "sitecustomize.py").write_text(SIGNAL_AT_THE_WORST_MOMENT)
    head = heads(hook=str(tmp_path / "hook"))
    assert (
        head.process.wait(60) == 0 and (head.orders / "hit").exists() and "stopped; accepted" in head.said()
    )


def test_a_signal_that_another_thread_gets_is_noticed(head):
    task = max(map(int, os.listdir(f"/proc/{head.process.pid}/task")))
    assert task != head.process.pid
    tgkill = {"x86_64": 234, "aarch64": 131}.get(os.uname().machine)
    if tgkill is None:
        pytest.skip("no number of tgkill for this machine")
    assert ctypes.CDLL(None).syscall(tgkill, head.process.pid, task, int(signal.SIGTERM)) == 0
    assert head.process.wait(30) == 0


def test_a_second_signal_ends_it_at_once(heads):
    head = heads("--drain-timeout", "600")
    head.order("deaf")
    wait_for(lambda: "is ready" in head.said(), 20, "the driver is ready")
    head.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping: no more" in head.said(), 20, "it stops")
    head.process.send_signal(signal.SIGINT)
    assert head.process.wait(30) == 130 and "stopped at once" in head.said()
    wait_for(lambda: not head.processes(), 10, "the driver is gone")


def test_the_driver_gets_signals_as_usual(head):
    """Nothing is blocked or ignored in it: Ray interrupts its workers by signals."""
    wait_for(lambda: "is ready" in head.said(), 20, "the driver is ready")
    with open(f"/proc/{head.lines('lives')[-1]}/status") as file:
        masks = dict(re.findall(r"(Sig(?:Blk|Ign)):\s*([0-9a-f]+)", file.read()))
    wanted = sum(1 << (signum - 1) for signum in (signal.SIGINT, signal.SIGTERM))
    assert len(masks) == 2 and not any(int(mask, 16) & wanted for mask in masks.values())


def test_few_descriptors_mean_few_connections_and_a_word(heads):
    """attacks.md 2.14: with 256, silent connections took those that segments are stored with."""

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    head = heads(preexec_fn=few)
    assert "52 connections are served at once instead of 1024" in head.said() and "LimitNOFILE" in head.said()
    silent = [head.connect() for _ in range(300)]
    reply = head.ask(**SMALL)
    assert reply.video == expected_video(reply.parts[0].fields["job"])
    assert len(head.lines("rendered")) == SMALL["num_frames"] and "Too many open files" not in head.said()
    for sock in silent:
        sock.close()


def test_db_that_goes_is_not_taken_for_a_client_that_went(heads, tmp_path):
    head = heads()
    head.ask(**SMALL)
    head.db.rename(tmp_path / "elsewhere")
    with head.connect() as sock:
        sock.sendall(json.dumps(SMALL | {"maxiter": 99}).encode())
        assert Reply(sock).read().code == "DB_GONE"
    assert "went away" not in head.said()
    (tmp_path / "elsewhere").rename(head.db)


def test_what_a_driver_prints_goes_to_a_file_and_its_last_words_are_told(heads):
    head = heads(wait=False)
    head.tell("print", "\x1b[31mmuch\x1b[0m that\nRay says\nOSError: HOME is read-only")
    wait_for(lambda: "is ready" in head.said(), 30, "another driver is ready")
    assert "much that" in head.chatter() and "Ray says" in head.chatter() and "\x1b" not in head.chatter()
    assert "ended with status 1: OSError: HOME is read-only (more in" in head.said()
    assert "Ray says" not in head.said()
    assert (head.db / "renderer.log").stat().st_mode & 0o777 == 0o600


def test_a_cluster_that_was_joined_is_waited_for(heads):
    """newcomer.md B2: the service started a Ray of its own, with all cores, and left the cluster for good."""
    head = heads(wait=False)
    head.tell("joined", "10.9.8.7:6379")
    wait_for(lambda: "is ready" in head.said(), 30, "the driver is ready")
    assert head.lines("commands") == ["--fd " + head.lines("commands")[0].split()[-1]]
    head.order("gone")
    os.kill(int(head.lines("lives")[-1]), signal.SIGKILL)
    wait_for(lambda: "which this service joined, has gone" in head.said(), 30, "it says so")
    sock, reply = head.send(**SMALL)
    reply.step()
    assert reply.last["renderer"]["error"].startswith("the Ray cluster at 10.9.8.7:6379")
    assert reply.last["renderer"]["seconds"] >= 0
    assert "start the service anew" in head.ask(op="status").last["driver"]["error"]
    head.withdraw("gone")
    with sock:
        assert reply.read().video == expected_video(reply.last.get("job") or reply.parts[0].fields["job"])
    assert head.lines("commands")[-1].startswith("--address 10.9.8.7:6379 ")


@pytest.mark.parametrize("trouble", ["token", "port"])
def test_why_the_renderer_cannot_start_is_told(tmp_path, trouble):
    """attacks.md 2.14: a home that cannot be written to, and a port that is no Ray's; with the real driver."""
    listening = socket.create_server(("127.0.0.1", 0))
    options, environment = (), {}
    if trouble == "token":
        (tmp_path / "file").touch()
        environment = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "file" / "token"), "RAY_AUTH_MODE": "token"}
        words = "auth_token|RAY_AUTH_TOKEN_PATH"
    else:
        options = ("--address", f"127.0.0.1:{listening.getsockname()[1]}")
        words = "something that is no Ray head answers at 127.0.0.1:"
    with listening:
        service = Service(tmp_path / "DB", *options, environment=environment)
        try:
            wait_for(lambda: re.search(words, service.client("--status").stdout), 60, "status says why")
        finally:
            service.kill()
    assert "Traceback" not in service.output()


@pytest.mark.parametrize(
    "argv, environment, words",
    [
        (["--device=no such"], {}, "UNKNOWN_DEVICE: no usable device matches 'no such'"),
        ([], {"MANDEL_DEVICE": "no such"}, "UNKNOWN_DEVICE: no usable device matches 'no such'"),
        (["--address=head"], {}, "BAD_SETTING: --address (or RAY_ADDRESS) 'head' is no address"),
    ],
)
def test_what_can_never_work_is_told_at_the_start(tmp_path, argv, environment, words):
    """A driver was started again and again, or every job failed."""
    head = subprocess.Popen(
        [sys.executable, "ray_head.py", "--port=0", "--web-port=0", f"--db={tmp_path / 'DB'}"]
        + (argv if "--address=head" in argv else ["--address=embedded", *argv]),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert head.stdout.readline() == ""  # else where it listens
    finally:
        head.terminate()
        _, said = head.communicate()
    assert head.returncode == 2 and said.startswith(words) and said.count("\n") == 1
    assert not (tmp_path / "DB").exists()


def test_machines_that_join_and_leave_are_told(heads):
    head = heads()
    wait_for(lambda: "is ready" in head.said(), 30, "the driver is ready")
    assert "nodes: 1\n" in head.said()  # the dead one does not count
    nodes = [
        {"id": "here", "resources": {"CPU": 1}},
        {"id": "b", "host": "big", "address": "10.0.0.2", "alive": True, "resources": {"CPU": 8, "GPU": 1}},
    ]
    head.tell("say", json.dumps({"event": "cluster", "nodes": nodes}))
    wait_for(
        lambda: (
            "machine big (10.0.0.2) joined with 8 CPUs and 1 GPU; the cluster has 9 CPUs and 1 GPU now"
            in head.said()
        ),
        20,
        "it is told",
    )
    nodes[1]["alive"] = False
    head.tell("say", json.dumps({"event": "cluster", "nodes": nodes}))
    wait_for(
        lambda: "machine big (10.0.0.2) left, and with it 8 CPUs and 1 GPU; 1 CPU remain" in head.said(),
        20,
        "it is told",
    )
    assert head.said().count("joined with") == head.said().count(" left, ") == 1


def test_the_log_goes_through_no_link(heads, tmp_path):
    head = heads()
    assert head.stop() == 0
    (tmp_path / "theirs").write_text("precious")
    (head.db / "renderer.log").unlink(missing_ok=True)
    (head.db / "renderer.log").symlink_to(tmp_path / "theirs")
    head = heads(wait=False)
    head.tell("print", "words")
    wait_for(lambda: "is ready" in head.said(), 30, "another driver is ready")
    assert "ended with status 1: words" in head.said() and (tmp_path / "theirs").read_text() == "precious"

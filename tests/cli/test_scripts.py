"""The two scripts where no Ray is to be started: what they refuse, what they clean up."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.service import ROOT, free_port


@pytest.fixture
def script(tmp_path):
    """Runs a script with a home and a token of its own; what it leaves is ended."""
    mark = processes.new_mark()
    (tmp_path / "bin").mkdir()
    environment = {
        **os.environ,
        processes.VARIABLE: mark,
        "HOME": str(tmp_path),
        "VIRTUAL_ENV": str(tmp_path),
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "auth_token"),
        "RAY_TMPDIR": str(tmp_path),
        "PATH": f"{tmp_path}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    (tmp_path / "auth_token").write_text("0123456789abcdef" * 4)
    (tmp_path / "auth_token").chmod(0o600)

    def run(name: str, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [ROOT / name, *arguments],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )

    run.environment = environment
    yield run
    processes.end_all(mark)


@pytest.mark.parametrize(
    "head",
    [
        "x/1;touch $HOME/pwned;echo :6379",
        "$(touch $HOME/pwned):6379",
        "`touch $HOME/pwned`:6379",
        "a b:6379",
        "x:",
        ":1",
        "x:0",
        "x:65536",
        "x:123456",
        "x:1:2",
        "-x:1",
        ".*:6379",
        "x:6379;touch $HOME/pwned",
        "x:6379\ntouch $HOME/pwned",
    ],
)
def test_no_argument_is_run(script, tmp_path, head):
    """attacks.md S8: the script ran what stood behind the host's name."""
    for options in ([head], ["--", head], ["--stop", head], ["--probe", head]):
        refused = script("spawn_ray_server.sh", *options)
        assert refused.returncode == 2 and refused.stderr, (options, refused)
    for option in ("--node-ip", "--dashboard-host", "--port", "--num-cpus") if "pwned" in head else ():
        assert script("spawn_ray_head.sh", option, head).returncode == 2
    assert not (tmp_path / "pwned").exists()


class _Http(BaseHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.mark.parametrize("kind", ["http", "silent"])
def test_another_program_at_the_port_is_no_head(script, kind):
    """newcomer.md B3: "if it is this cluster's head, all is well", whatever it was. And it is not told the token."""
    heard = []
    if kind == "http":
        server = HTTPServer(("127.0.0.1", 0), _Http)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, close = server.server_port, lambda: (server.shutdown(), server.server_close())
    else:
        listening = socket.create_server(("127.0.0.1", 0))

        def listen() -> None:
            while True:
                try:
                    with listening.accept()[0] as connection:
                        connection.settimeout(20)
                        while data := connection.recv(1 << 16):
                            heard.append(data)
                except OSError:
                    return

        threading.Thread(target=listen, daemon=True).start()
        port, close = (
            listening.getsockname()[1],
            lambda: (listening.shutdown(socket.SHUT_RDWR), listening.close()),
        )
    try:
        head = script("spawn_ray_head.sh", "--port", str(port))
        assert head.returncode == 1 and "is no Ray head" in head.stderr and "--port" in head.stderr, head
        assert "all is well" not in head.stdout + head.stderr
        worker = script("spawn_ray_server.sh", f"127.0.0.1:{port}")
        assert worker.returncode == 1 and "is no Ray head" in worker.stderr
        assert kind == "http" or heard
        assert b"0123456789abcdef" not in b"".join(heard)
    finally:
        close()


def test_a_failed_start_leaves_nothing(script, tmp_path):
    """newcomer.md B3: a half-started control store stayed, and the next try said that all is well."""
    ray = tmp_path / "bin" / "ray"
    ray.write_text("#!/bin/sh\necho $$ >>$HOME/hit\nsleep 600 >/dev/null 2>&1 &\necho as ordered\nexit 1\n")
    ray.chmod(0o755)
    failed = script("spawn_ray_head.sh", "--port", str(free_port()), "--num-gpus", "0")
    assert failed.returncode == 1 and "as ordered" in failed.stderr and "has been ended" in failed.stderr
    assert (tmp_path / "hit").read_text().count("\n") == 1
    processes.wait_for(
        lambda: not processes.marked(script.environment[processes.VARIABLE]), 20, "nothing is left"
    )


def test_what_ray_could_not_do_is_said(script, tmp_path):
    """newcomer.md B1, B5: where there is no route out, Ray takes 127.0.0.1; a dashboard that fails is only missing."""
    port = free_port()
    ray = tmp_path / "bin" / "ray"
    ray.write_text(
        f"#!/bin/sh\necho 'ERROR Failed to bind to 127.0.0.1:8265'\necho \"ray start --address='127.0.0.1:{port}'\"\n"
    )
    ray.chmod(0o755)
    started = script("spawn_ray_head.sh", "--port", str(port), "--num-gpus", "0")
    assert started.returncode == 0 and f"runs at 127.0.0.1:{port}." in started.stdout
    assert (
        "cannot reach 127.0.0.1: Ray found no route" in started.stdout
        and "--node-ip ADDRESS" in started.stdout
    )
    assert "Dashboard:              none: it did not start (ERROR Failed to bind" in started.stdout


def test_an_interrupted_start_leaves_nothing(script, tmp_path):
    ray = tmp_path / "bin" / "ray"
    ray.write_text("#!/bin/sh\nsleep 600 >/dev/null 2>&1 &\ntouch $HOME/hit\nsleep 1\n")
    ray.chmod(0o755)
    started = subprocess.Popen(
        [ROOT / "spawn_ray_head.sh", "--port", str(free_port()), "--num-gpus", "0"],
        env=script.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    processes.wait_for((tmp_path / "hit").exists, 20, "Ray is being started")
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 130
    processes.wait_for(
        lambda: not processes.marked(script.environment[processes.VARIABLE]), 20, "nothing is left"
    )


def test_a_second_join_is_refused(script):
    """newcomer.md B4: each core was counted twice."""
    works = subprocess.Popen(
        ["sleep", "600"], env=script.environment | {"MANDEL_RAY": "worker:10.1.2.3:6379"}
    )
    try:
        twice = script("spawn_ray_server.sh", "10.1.2.3:6379")
        assert twice.returncode == 1 and "works for the cluster at 10.1.2.3:6379 already" in twice.stderr
        assert "--again" in twice.stderr and "--stop" in twice.stderr
        other = script("spawn_ray_server.sh", f"127.0.0.1:{free_port()}")
        assert (
            re.search("This machine works for .*10.1.2.3:6379.* too", other.stderr)
            and "nothing answers" in other.stderr
        )
        left = script("spawn_ray_server.sh", "--stop", "10.1.2.3:6379")
        assert left.returncode == 0 and "has left the cluster at 10.1.2.3:6379" in left.stdout
        assert works.wait(20) == -signal.SIGTERM
    finally:
        works.kill()
        works.wait()


def test_a_token_that_others_can_read_is_mended_in_words(script, tmp_path):
    (tmp_path / "auth_token").chmod(0o644)
    assert "its mode is 0600 now" in script("spawn_ray_server.sh", f"127.0.0.1:{free_port()}").stderr
    assert (tmp_path / "auth_token").stat().st_mode & 0o777 == 0o600
    assert "its mode" not in script("spawn_ray_server.sh", f"127.0.0.1:{free_port()}").stderr


@pytest.mark.parametrize("kind", ["fifo", "link", "binary"])
def test_stop_trusts_no_note_of_others(script, tmp_path, kind):
    (tmp_path / "ray").mkdir()
    note, theirs = tmp_path / "ray" / "ray_current_cluster", tmp_path / "theirs"
    theirs.write_text("127.0.0.1:6379")
    if kind == "fifo":
        os.mkfifo(note)
    elif kind == "link":
        note.symlink_to(theirs)
    else:
        note.write_bytes(b"\xff\0" * 100_000)
    works = subprocess.Popen(["sleep", "600"], env=script.environment | {"MANDEL_RAY": "head:6379"})
    try:
        stopped = script("spawn_ray_head.sh", "--stop")
        assert (
            stopped.returncode == 0 and "has stopped" in stopped.stdout and works.wait(20) == -signal.SIGTERM
        )
        assert theirs.exists() and os.path.lexists(note)
    finally:
        works.kill()
        works.wait()

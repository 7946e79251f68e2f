"""Clusters of several nodes on one machine, brought up by the two scripts."""

import json
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chaos import PATIENCE, calm
from tests.support.cluster import Cluster
from tests.support.service import free_port
from tests.support.video import frame_digests


def test_the_head_says_what_to_do_next(cluster):
    assert "spawn_ray_server.sh" in cluster.started.stdout and "dashboard" in cluster.started.stdout.lower()
    processes.wait_for(
        lambda: "/3.0 CPU" in cluster.status(), PATIENCE, "three nodes are listed by ray status"
    )


def test_every_node_keeps_its_idle_workers(cluster):
    nodes = [pid for pid, command in processes.marked(cluster.mark).items() if "/raylet/raylet " in command]
    said = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in nodes]
    assert len(nodes) == 3
    assert all(b"RAY_idle_worker_killing_time_threshold_ms=600000" in variables for variables in said)


def test_the_token_is_for_this_user_alone(cluster):
    assert (cluster.folder / "auth_token").stat().st_mode & 0o777 == 0o600


def test_the_head_can_be_started_twice(cluster):
    again = cluster.head()
    assert again.returncode == 0 and "all is well" in again.stdout, again.stderr
    more = cluster.run("./spawn_ray_head.sh", "--port", str(cluster.port), "--num-cpus", "7")
    assert more.returncode == 0 and "keeps the 1 CPU slots" in more.stdout
    stranger = cluster.run("./spawn_ray_head.sh", "--port", str(cluster.port), RAY_AUTH_TOKEN="0" * 64)
    assert stranger.returncode == 1 and "refuses this machine's token" in stranger.stderr, stranger.stderr


@pytest.mark.parametrize("script", ["./spawn_ray_head.sh", "./spawn_ray_server.sh"])
def test_scripts_explain_themselves(cluster, script):
    assert "Usage:" in cluster.run(script, "--help").stdout
    wrong = cluster.run(script, "--bogus")
    assert wrong.returncode == 2 and "--help" in wrong.stderr


def test_all_nodes_render_the_same_as_one(cluster, service, tmp_path):
    payload = {
        "num_frames": 60,
        "frame_width": 400,
        "frame_height": 300,
        "maxiter": 2000,
        "end_delta": "1e-3",
    }
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    run = service.client(str(tmp_path / "payload.json"), "-o", str(tmp_path / "out.mp4"), timeout=PATIENCE)
    assert run.returncode == 0, run.stderr + service.output()
    (job, *_) = json.loads(service.client("--list", "--json").stdout)["jobs"]  # the newest
    status = json.loads(service.client("--status", job["job"], "--json").stdout)
    print("frames by node:", status["nodes"])
    assert sum(status["nodes"].values()) == 60 and len(status["nodes"]) == 3
    assert frame_digests(tmp_path / "out.mp4") == calm(**payload)


def test_the_dashboard_names_tasks_and_metrics_are_exported(cluster, service, tmp_path):
    run = service.client(
        "--num-frames",
        "6",
        "--frame-width",
        "64",
        "--frame-height",
        "64",
        "--maxiter",
        "290",
        "-o",
        str(tmp_path / "out.mp4"),
    )
    assert run.returncode == 0, run.stderr
    (job, *_) = json.loads(service.client("--list", "--json").stdout)["jobs"]  # the newest
    wanted = {
        "ray_mandel_frames_rendered_total",
        "ray_mandel_segments_encoded_total",
        "ray_mandel_frame_seconds_bucket",
        "ray_mandel_queue_length",
    }

    def facts():
        told = cluster.run(
            sys.executable,
            "tests/chaos/cluster_facts.py",
            f"127.0.0.1:{cluster.port}",
            f"http://127.0.0.1:{cluster.dashboard}",
            RAY_AUTH_MODE="token",
        )
        found = json.loads(told.stdout)
        named = {f"{job['job'][:8]} frame {k}" for k in range(6)} | {f"{job['job'][:8]} segment 0"}
        print(sorted(found["metrics"]))
        return named <= set(found["names"]) and wanted <= set(found["metrics"])

    processes.wait_for(facts, PATIENCE, "tasks are listed by name and metrics are exported")


def test_the_dashboard_asks_for_the_token(cluster):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{cluster.dashboard}/api/jobs/", timeout=10)
    with refused.value:
        assert refused.value.code == 401


def test_stop_ends_what_the_script_started_and_nothing_else():
    cluster = Cluster()
    taken = socket.create_server(("127.0.0.1", cluster.dashboard))
    try:
        with taken:
            started = cluster.head()
        assert started.returncode == 0, started.stderr + started.stdout
        assert "Starting Ray (10 to 40 s) ..." in started.stderr
        # newcomer.md B1: the page of another program was named.
        dashboard = int(re.search(r"http://127.0.0.1:(\d+)/", started.stdout)[1])
        assert (
            f"Port {cluster.dashboard} of 127.0.0.1 is taken; the dashboard takes {dashboard}."
            in started.stdout
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{dashboard}/api/jobs/", timeout=10)
        with refused.value:
            assert refused.value.code == 401
        joined = cluster.worker()
        assert joined.returncode == 0, joined.stderr + joined.stdout
        twice = cluster.run("./spawn_ray_server.sh", f"127.0.0.1:{cluster.port}")  # B4
        assert (
            twice.returncode == 1 and "works for the cluster" in twice.stderr and len(cluster.raylets()) == 1
        )
        for options in (
            ["./spawn_ray_server.sh", "--stop", f"127.0.0.1:{free_port()}"],
            ["./spawn_ray_head.sh", "--stop", "--port", str(free_port())],
        ):
            nothing = cluster.run(*options)
            assert nothing.returncode == 0 and "this script started" in nothing.stdout
        head = {pid for pid, command in processes.marked(cluster.mark).items() if "gcs_server" in command}
        assert head and len(cluster.raylets()) == 1
        left = cluster.run("./spawn_ray_server.sh", f"127.0.0.1:{cluster.port}", "--stop")
        assert left.returncode == 0 and "has left" in left.stdout and not cluster.raylets()
        assert head <= set(processes.marked(cluster.mark))
        # B3: a head whose raylet is gone is no head, though something answers.
        (raylet,) = [
            pid
            for pid, command in processes.marked(cluster.mark).items()
            if "raylet/raylet" in command and "--head" in command
        ]
        os.kill(raylet, signal.SIGKILL)
        processes.wait_for(
            lambda: "has died" in cluster.head().stderr, PATIENCE, "it is told from one that works"
        )
        stopped = cluster.run("./spawn_ray_head.sh", "--stop", "--port", str(cluster.port))
        assert stopped.returncode == 0 and "has stopped" in stopped.stdout
        processes.wait_for(lambda: not processes.marked(cluster.mark), PATIENCE, "nothing is left")
    finally:
        cluster.end()

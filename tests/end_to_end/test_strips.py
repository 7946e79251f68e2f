"""Strips in DB/: found after a crash, kept for another look, mended when damaged."""

import json
import os
import signal
import subprocess
import sys

import numpy as np

from tests.end_to_end.test_service import decoded
from tests.support import processes
from tests.support.service import ROOT, Service

ZOOM = {"point": "-0.743643887037151,0.131825904205330", "end_delta": "0.01", "sampling": "shared"}
# Iterating these strips takes longer than packing them.
SLOW = {
    "point": "-0.7436438870371587,0.13182590420531197",
    "start_delta": "1e-9",
    "end_delta": "1e-12",
    "maxiter": 50_000,
    "sampling": "shared",
    "num_frames": 60,
    "frame_width": 320,
    "frame_height": 180,
}


def rendered(service, out, *arguments) -> dict:
    """Runs the client; the status of the job that it printed."""
    run = service.client(*arguments, "-o", str(out))
    assert run.returncode == 0, run.stderr + service.output()
    job = run.stderr.partition("job ")[2].split()[0]
    return json.loads(service.client("--status", job, "--json").stdout)


def files(service) -> list:
    return sorted(service.db.glob("jobs/*/*/strips/*.strip"))


def test_a_zoom_made_again_iterates_nothing(service, payload_file, tmp_path):
    before = set(files(service))
    kept = rendered(service, tmp_path / "kept.mp4", payload_file(**ZOOM, keep_strips=True))
    assert kept["strips"]["found"] == 0 and kept["kept"] > 0
    assert len(set(files(service)) - before) == kept["strips"]["iterated"] > 0
    again = rendered(service, tmp_path / "ember.mp4", "--recolour", kept["job"], "--palette", "ember")
    assert (
        again["strips"] == {"iterated": 0, "found": again["strips"]["found"]}
        and again["source"] == kept["job"]
    )
    direct = rendered(
        service, tmp_path / "direct.mp4", payload_file(**ZOOM, keep_strips=True, palette="ember")
    )
    assert direct["strips"]["iterated"] > 0 and direct["job"] != again["job"]
    videos = [decoded(tmp_path / f"{name}.mp4", 96, 64) for name in ("kept", "ember", "direct")]
    assert (videos[1] == videos[2]).all() and (videos[0] != videos[1]).any()

    other = (
        "--fps",
        "30",
        "--num-frames",
        "12",
        "--easing",
        "1",
        "--frame-width",
        "128",
        "--frame-height",
        "96",
    )
    moved = rendered(service, tmp_path / "moved.mp4", "--recolour", again["job"], *other)
    assert moved["frames"] == 12 and moved["source"] == kept["job"]
    assert decoded(tmp_path / "moved.mp4", 128, 96).shape[0] == 12


def test_a_damaged_strip_is_iterated_again_and_mended(service, payload_file, tmp_path):
    before = set(files(service))
    kept = rendered(service, tmp_path / "kept.mp4", payload_file(**ZOOM, keep_strips=True, num_frames=9))
    one, two = sorted(set(files(service)) - before)[:2]
    data = bytearray(one.read_bytes())
    data[len(data) // 2] ^= 1
    one.write_bytes(data)
    two.unlink()
    for palette, iterated in (("ember", 2), ("aurora", 0)):
        again = rendered(
            service, tmp_path / f"{palette}.mp4", "--recolour", kept["job"], "--palette", palette
        )
        assert again["strips"]["iterated"] == iterated


def test_what_cannot_be_recoloured(service, payload_file, tmp_path):
    plain = rendered(service, tmp_path / "plain.mp4", payload_file(**ZOOM))
    for job, code in (("0" * 64, "NOT_FOUND"), (plain["job"], "NO_STRIPS")):
        run = service.client("--recolour", job, "--palette", "ember")
        assert run.returncode == 2 and code in run.stderr, run.stderr
    run = service.client(payload_file(keep_strips=True))
    assert run.returncode == 2 and "CONFLICT" in run.stderr


def test_strips_are_found_after_a_crash(payload_file, tmp_path):
    """Without Ray, which starts slowly and knows nothing of strips' files; tests/chaos kills heads with Ray."""
    first = Service(tmp_path / "DB", "--address", "embedded")
    try:
        sent = subprocess.Popen(
            [sys.executable, str(ROOT / "client.py"), "--port", str(first.port), payload_file(**SLOW)],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.wait_for(lambda: len(files(first)) > 2, 200, "strips are stored")
    finally:
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        sent.wait()
        processes.end_all(first.mark)
    second = Service(tmp_path / "DB", "--address", "embedded")
    try:
        done = rendered(second, tmp_path / "out.mp4", payload_file(**SLOW))
        assert done["strips"]["found"] > 0
        assert "strip" in second.output().partition("nothing")[0]
        video = decoded(tmp_path / "out.mp4", 320, 180)
        assert video.shape[0] == 60 and np.ptp(video[-1]) > 0
        assert not files(second)  # nobody asked for them to be kept
    finally:
        second.stop()

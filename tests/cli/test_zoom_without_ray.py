"""A real zoom in one command, without Ray: the same recovery, and nothing left behind."""

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from mandel.video import ffmpeg
from mandel.video.probe import packet_times
from tests.support import processes

ROOT = Path(__file__).parents[2]
FIELDS = ["--num-frames=24", "--frame-width=96", "--frame-height=64", "--maxiter=200", "--end-delta=1e-3"]


@pytest.fixture
def mark():
    mark = processes.new_mark()
    yield mark
    processes.end_all(mark)


def zoom(folder, mark, name, *more, fields=None, **environment):
    """Renders into a new DB/ in the folder; returns the video, if there is one, and what the command said."""
    command = [
        sys.executable,
        "-m",
        "mandel",
        "zoom",
        "--db",
        name,
        "-o",
        f"{name}.mp4",
        "--device=cpu",
        *(FIELDS if fields is None else fields),
        *more,
    ]
    inherited = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    ours = {
        processes.VARIABLE: mark,
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder),
    }  # no cluster's note lies there
    done = subprocess.run(
        command, cwd=folder, env=inherited | ours | environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    film = folder / f"{name}.mp4"
    return film.read_bytes() if film.exists() else b"", done.stderr, done.stdout


def test_an_estimate_is_measured_and_nothing_is_rendered(tmp_path, mark):
    deep = ("--point=-1.7490812690237,0", "--end-delta=1e-12", "--maxiter=auto", "--sampling=shared")
    for more in ((), deep):
        _, said, out = zoom(tmp_path, mark, "none", "--estimate", *more)
        assert re.search(r"^time +\S.* with \d+ cpu slots?, if nothing else runs$", out, re.MULTILINE), (
            out,
            said,
        )
        assert re.search(r"^size +[0-9.]+ kB to ", out, re.MULTILINE), (out, said)
    assert not list(tmp_path.glob("*.mp4")) and not list((tmp_path / "none" / "jobs").glob("*"))


def test_a_killed_worker_costs_nothing_but_time(tmp_path, mark):
    calm, said, _ = zoom(tmp_path, mark, "calm")
    assert "Ray" not in said
    faults, log, over = tmp_path / "faults", tmp_path / "faults.log", threading.Event()
    faults.write_text("note .\nkill frame 7$\nkill segment\n")
    log.touch()

    def spare():  # what was killed once is left alone then
        wanted = {"frame 7$", "segment"}
        while wanted and not over.wait(0.05):
            if hit := {action for action in wanted if re.search(action, log.read_text(), re.MULTILINE)}:
                wanted -= hit
                new = tmp_path / "faults.new"
                new.write_text("\n".join(["note .", *(f"kill {action}" for action in wanted)]) + "\n")
                new.replace(faults)

    watch = threading.Thread(target=spare)
    watch.start()
    try:
        hit, _, _ = zoom(tmp_path, mark, "hit", MANDEL_TASK_FAULTS=str(faults))
    finally:
        over.set()
        watch.join()
    assert hit == calm
    begun = Counter(re.findall(r"(?:frame|segment) \d+$", log.read_text(), re.MULTILINE))
    assert begun["frame 7"] >= 2, "the kill did not hit frame 7"
    # Segments may be encoded in any order: the kill hits whichever is first.
    assert any(times >= 2 for label, times in begun.items() if label.startswith("segment")), (
        "no segment was hit"
    )
    assert not processes.marked(mark), "processes are left behind"


def test_a_path_with_subtitles_and_again_at_another_rate(tmp_path, mark):
    path = """[{"point": "-0.5,0", "delta": 2.5}, {"point": "-0.75,0.1", "delta": 1e-3, "time": 0.6, "hold": 0.2},
        {"point": "-1.25,0.02", "delta": 1e-12, "time": 0.8}]"""
    small = ["--frame-width=96", "--frame-height=64", "--subtitles=true"]
    zoom(tmp_path, mark, "first", fields=[f"--path={path}", *small])
    film = tmp_path / "first.mp4"
    assert len(packet_times(film)) == 33  # 1 + 20 x 1.6
    told = ffmpeg.run(["-i", f"file:{film}", "-map", "0:s:0", "-f", "srt", "pipe:1"]).decode()
    assert re.findall("×.*", told)[0] == "×1" and told.count("-->") == 2
    zoom(tmp_path, mark, "again", fields=[str(film), "--fps=10"])
    assert len(packet_times(tmp_path / "again.mp4")) == 17
    assert not processes.marked(mark), "processes are left behind"

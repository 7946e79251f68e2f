"""A real zoom in one command, without Ray: the same recovery, and nothing left behind."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import processes

ROOT = Path(__file__).parents[2]
FIELDS = ["--num-frames=24", "--frame-width=96", "--frame-height=64", "--maxiter=200", "--end-delta=1e-3"]


@pytest.fixture
def mark():
    mark = processes.new_mark()
    yield mark
    processes.end_all(mark)


def zoom(folder, mark, name, **environment):
    """Renders into a new DB/ in the folder; returns the video and what the command said."""
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
        *FIELDS,
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
    return (folder / f"{name}.mp4").read_bytes(), done.stderr


def test_a_killed_worker_costs_nothing_but_time(tmp_path, mark):
    calm, said = zoom(tmp_path, mark, "calm")
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
        hit, _ = zoom(tmp_path, mark, "hit", MANDEL_TASK_FAULTS=str(faults))
    finally:
        over.set()
        watch.join()
    assert hit == calm
    for label in ("frame 7$", "segment 0$"):
        assert len(re.findall(label, log.read_text(), re.MULTILINE)) >= 2, f"the kill did not hit {label}"
    assert not processes.marked(mark), "processes are left behind"

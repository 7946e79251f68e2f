"""A Ray that does not work any more is noticed and replaced; workers that are slow are left in peace."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chaos import LONG, PATIENCE, SMALL, Client, Faults, calm, decoded, tell
from tests.support.usage import role_of


def session_of(head) -> Path:
    """The folder of the Ray that a service started."""
    raylet = next(command for command in head.processes().values() if role_of(command) == "raylet")
    return Path(
        re.search(r"--session_dir=(\S+)|(\S+/session_[0-9_-]+)/sockets", raylet)[0]
        .split("=")[-1]
        .split("/sockets")[0]
    )


def drivers(head) -> set[int]:
    return {pid for pid, command in head.processes().items() if role_of(command) == "driver"}


def test_copies_of_slow_tasks_and_a_session_folder_that_is_removed(embedded, tmp_path):
    """One start of Ray for both: late strips first, then what a cleaner of /tmp does."""
    faults = Faults(tmp_path / "faults")
    # As a zoom that passes a minibrot: two strips take many times what their like takes. The second one still goes on
    # when nothing else is left to do: so long after its like, without a sign of life, it would be begun once more.
    faults.set("note .", "sleep:0.2 strip", "sleep:6 strip 3$", "sleep:18 strip 8$")
    head = embedded()
    payload = SMALL | {"sampling": "shared", "num_frames": 60, "end_delta": "1e-6", "maxiter": 230}
    reply = Client(head.port, **payload).answer(PATIENCE)
    assert decoded(reply.video) == calm(**payload)
    begun = [label for _, label in faults.noted(" strip ")]
    assert {"strip 3", "strip 8"} <= {label.partition(" ")[2] for label in begun}
    again = len(begun) - len(set(begun))
    tell("T2 calm", strips=len(set(begun)), begun_once_more=again)
    assert not again and "suspiciously" not in head.output()

    session, before = session_of(head), drivers(head)
    assert not session.is_relative_to("/tmp"), "where cleaners come"
    faults.set()
    shutil.rmtree(session)
    removed = time.monotonic()
    payload = SMALL | {"maxiter": 231}
    client = Client(head.port, **payload)
    processes.wait_for(lambda: drivers(head) and not drivers(head) & before, PATIENCE, "another driver")
    replaced = time.monotonic() - removed
    reply = client.answer(PATIENCE)
    assert reply.code is None and decoded(reply.video) == calm(**payload)
    assert "was removed" in head.output()
    tell(
        "T7 Ray's folder removed",
        seconds_to_another_driver=f"{replaced:.1f}",
        seconds_to_the_video=f"{time.monotonic() - removed:.1f}",
    )
    assert head.stop() == 0


@pytest.mark.skipif(not LONG, reason="takes three minutes")
def test_workers_that_never_answer_are_noticed(embedded, tmp_path):
    """All workers are stopped; the raylet and the control store are well."""
    faults = Faults(tmp_path / "faults")
    faults.set("note .", "sleep:0.3 frame")
    head = embedded()
    payload = SMALL | {"num_frames": 48, "maxiter": 232}
    client = Client(head.port, **payload)
    processes.wait_for(lambda: client.done >= 4, PATIENCE, "four frames")
    before, stopped = drivers(head), time.monotonic()
    for pid, command in head.processes().items():
        if role_of(command) == "worker":
            os.kill(pid, signal.SIGSTOP)
    processes.wait_for(lambda: drivers(head) and not drivers(head) & before, PATIENCE, "another driver")
    replaced = time.monotonic() - stopped
    reply = client.answer(PATIENCE)
    assert reply.code is None and decoded(reply.video) == calm(**payload)
    assert "does not work any more" in head.output()
    tell(
        "T7 Ray hangs",
        seconds_to_another_driver=f"{replaced:.1f}",
        seconds_to_the_video=f"{time.monotonic() - stopped:.1f}",
    )

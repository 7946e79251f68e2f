"""Finds and ends the processes that a test started, by pid, however deep they were forked."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

VARIABLE = "MANDEL_TEST_MARK"
_ROOT = Path(__file__).parents[2]
_marks: list[str] = []  # all that were given out
_sessions: dict[str, set[int]] = {}  # by mark, those that its processes were seen in


def new_mark() -> str:
    """A value for VARIABLE in a child's environment; all its descendants inherit it."""
    _marks.append(uuid.uuid4().hex)
    return _marks[-1]


def marked(mark: str) -> dict[int, str]:
    """Command line by pid of every living process that carries ``mark``, or is of a session that one of these began.

    Ray's agents write their titles over their environment, and carry no mark any more.
    """
    wanted = f"{VARIABLE}={mark}".encode()
    found, others = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            state, _, _, session = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
            if state == "Z":
                continue
            carries = wanted in (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # ended meanwhile, or another user's
        (found if carries else others)[int(entry.name)] = int(session), command
    # A session that ended is forgotten, as its number may come again; ours has other tests' processes too.
    seen = _sessions.get(mark, set()) & {session for session, _ in others.values()}
    _sessions[mark] = seen = (seen | {session for session, _ in found.values()}) - {os.getsid(0)}
    found |= {pid: about for pid, about in others.items() if about[0] in seen}
    return {pid: command for pid, (_, command) in found.items()}


def run_with_ray(script: str, tries: int = 4, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code that starts Ray, and ends all that it leaves; again where Ray gives up on a busy machine.

    Args:
        variables: of its environment.
    """
    for _ in range(tries):
        mark = new_mark()
        try:
            done = subprocess.run(
                [sys.executable, "-c", script],
                cwd=_ROOT,
                capture_output=True,
                text=True,
                timeout=600,
                env=os.environ | {"PYTHONPATH": str(_ROOT), VARIABLE: mark} | variables,
            )
        finally:
            end_all(mark)
        if "timed out during startup" not in done.stderr:
            break
    return done


def show_stacks() -> None:
    """Prints what every thread is at: of this process, and of all Python processes that tests have marked."""
    faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
    for pid, _command in (found for mark in _marks for found in marked(mark).items()):
        told = subprocess.run(
            ["py-spy", "dump", "--pid", str(pid)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
        if told.returncode == 0:  # else it is no Python process, or has ended
            print(told.stdout, file=sys.__stderr__, flush=True)


def wait_for(condition, seconds: float, what: str):
    """The first true value of ``condition()``; fails the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    show_stacks()
    raise AssertionError(f"not within {seconds:g} s: {what}")


def end_all(mark: str, seconds: float = 20.0) -> None:
    """Kills every process that carries ``mark`` and waits until none is left."""
    deadline = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    assert not left, f"could not be ended: {left}"

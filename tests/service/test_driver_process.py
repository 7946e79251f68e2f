"""What the head starts, as the fault tests find it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mandel.service.service import driver_command
from mandel.service.supervision.driver_process import DriverProcess, leash_command
from mandel.settings import Settings
from tests.support import processes
from tests.support.usage import role_of


def test_the_fault_tests_know_the_leash_and_the_driver_by_the_commands_that_start_them(monkeypatch):
    mark = processes.new_mark()
    monkeypatch.setenv(processes.VARIABLE, mark)
    driver = DriverProcess(driver_command(Settings(address="local")), 60)
    try:

        def roles():
            return sorted(role_of(command) for command in processes.marked(mark).values()) == [
                "driver",
                "leash",
                "leash",
            ]

        processes.wait_for(roles, 60, "a leash, its guard and a driver run")
        assert threading.current_thread() is threading.main_thread()  # the leash would die with another one
    finally:
        processes.end_all(mark)
        driver.end(0)


def test_the_fault_tests_find_what_has_lost_its_mark():
    """As Ray's agents, whose titles lie over their environment; also when all that carried the mark have ended."""
    mark = processes.new_mark()
    shell = subprocess.Popen(
        ["sh", "-c", "env -i sleep 600 & wait"],
        start_new_session=True,
        env=os.environ | {processes.VARIABLE: mark},
    )
    try:
        processes.wait_for(
            lambda: any(c.startswith("sleep") for c in processes.marked(mark).values()), 20, "it sleeps"
        )
        assert len(processes.marked(mark)) == 2
        os.kill(shell.pid, signal.SIGKILL)
        shell.wait()
        assert [command.split() for command in processes.marked(mark).values()] == [["sleep", "600"]]
    finally:
        processes.end_all(mark)
    assert not processes.marked(mark)


@pytest.mark.parametrize("victim", ["holder and leash", "leash", "guard", "group", "driver"])
def test_nobody_of_the_session_outlives_the_leash(victim):
    """Ray's workers lead groups of their own, as "far" does; its agents do not notice that all others have gone."""
    mark, (ours, theirs) = processes.new_mark(), socket.socketpair()
    sleepers = (
        "import os, subprocess, time; subprocess.Popen(['sleep', '601'], process_group=0); time.sleep(600)"
    )
    command = leash_command("holder", theirs.fileno(), [sys.executable, "-c", sleepers])
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import os, subprocess, sys, time; n = int(sys.argv[5]);"
                "subprocess.Popen([str(os.getpid()) if a == 'holder' else a for a in sys.argv[1:]], pass_fds=(n,),"
                "start_new_session=True); time.sleep(602)"
            ),
            *command,
        ],
        pass_fds=(theirs.fileno(),),
        env=os.environ | {processes.VARIABLE: mark},
    )
    theirs.close()
    try:
        processes.wait_for(
            lambda: any(c.startswith("sleep") for c in processes.marked(mark).values()), 60, "all run"
        )
        parents = {
            pid: int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            for pid in processes.marked(mark)
        }
        leash = next(pid for pid, parent in parents.items() if parent == holder.pid)
        driver, *guard = sorted(
            (pid for pid, parent in parents.items() if parent == leash),
            key=lambda pid: pid not in parents.values(),
        )
        if victim == "group":
            os.killpg(leash, signal.SIGKILL)
        for name, pid in {
            "holder": holder.pid,
            "leash": leash,
            "guard": next(iter(guard), 0),
            "driver": driver,
        }.items():
            if pid and name in victim.split():
                os.kill(pid, signal.SIGKILL)
        if victim == "holder and leash":
            holder.wait()
        processes.wait_for(lambda: set(processes.marked(mark)) <= {holder.pid}, 20, "all have ended")
    finally:
        ours.close()
        processes.end_all(mark)
        holder.wait()

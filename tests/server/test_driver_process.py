"""What the head starts, as the fault tests find it."""

import os
import signal
import subprocess
import threading

from mandel.server.driver import DriverProcess
from mandel.server.service import driver_command
from mandel.settings import Settings
from tests.support import processes
from tests.support.usage import role_of


def test_the_fault_tests_know_the_leash_and_the_driver_by_the_commands_that_start_them(monkeypatch):
    mark = processes.new_mark()
    monkeypatch.setenv(processes.VARIABLE, mark)
    driver = DriverProcess(driver_command(Settings(address="local")), 60)
    try:
        def roles():
            return sorted(role_of(command) for command in processes.marked(mark).values()) == ["driver", "leash"]

        processes.wait_for(roles, 60, "a leash and a driver run")
        assert threading.current_thread() is threading.main_thread()  # the leash would die with another one
    finally:
        processes.end_all(mark)
        driver.end(0)


def test_the_fault_tests_find_what_has_lost_its_mark():
    """As Ray's agents, whose titles lie over their environment; also when all that carried the mark have ended."""
    mark = processes.new_mark()
    shell = subprocess.Popen(["sh", "-c", "env -i sleep 600 & wait"], start_new_session=True,
                             env=os.environ | {processes.VARIABLE: mark})
    try:
        processes.wait_for(lambda: any(c.startswith("sleep") for c in processes.marked(mark).values()), 20, "it sleeps")
        assert len(processes.marked(mark)) == 2
        os.kill(shell.pid, signal.SIGKILL)
        shell.wait()
        assert [command.split() for command in processes.marked(mark).values()] == [["sleep", "600"]]
    finally:
        processes.end_all(mark)
    assert not processes.marked(mark)

"""What the head starts, as the fault tests find it."""

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

"""For all tests: signals as a person at a terminal has them."""

import signal

from tests.support.processes import show_stacks

# A shell starts what runs in its background with SIGINT ignored, and programs inherit that: the ones
# that tests interrupt would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_exception_interact(call):
    """A test that took too long (pytest-timeout): its processes are still there."""
    if str(call.excinfo.value).startswith("Timeout"):
        show_stacks()

"""For all tests: signals as a person at a terminal has them."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.processes import show_stacks, wait_for
from tests.support.service import Service, free_port
from tests.support.web import Web

# A shell starts what runs in its background with SIGINT ignored, and programs inherit that: the ones
# that tests interrupt would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Heads that tests start serve no page unless they are told a port: several run at once.
os.environ.setdefault("MANDEL_WEB_PORT", "0")

# Marks (see pyproject.toml) of whole folders and files; a single test bears its own.
MARKS = {
    "browser": ("ray",),
    "chaos": ("chaos", "ray"),
    "driver/test_ray_nodes.py": ("ray",),
    "end_to_end": ("ray",),
    "cli/test_zoom.py": ("ray",),
    "worker/test_interrupt.py": ("ray",),
    "cli/test_scripts.py": ("slow",),
    "cli/test_tune.py": ("slow",),
    "device/test_tuning.py": ("slow",),
    "render": ("slow",),
    "sanitize": ("slow",),
    "service": ("slow",),
    "store/test_crash.py": ("slow",),
    "store/test_damage.py": ("slow",),
    "sweep": ("slow",),
    "test_package.py": ("slow",),
    "web": ("slow",),
    "web/test_film.py": ("ray",),
    "web/test_tiles.py": ("ray",),
    "video/test_size.py": ("slow",),
}


@pytest.fixture(autouse=True)
def interrupts():
    """A test that ran a program's main() may have left its handler behind."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_service(tmp_path_factory):
    """The real service with Ray on this machine, for the tests of all folders; ``page`` is its page's address.

    Others' jobs are there too: a test knows its own by their ids.
    """
    port = free_port()
    folder = tmp_path_factory.mktemp("service")
    running = Service(folder / "DB", "--address", "local", "--web-port", str(port), "--web-name", "head.lan")
    running.page = f"http://127.0.0.1:{port}/"
    try:
        wait_for(lambda: "the web page" in running.output(), 60, "the page is served")
        wait_for(Web(port).is_ready, 300, "the renderer is ready")  # Ray takes minutes on a busy machine
    except BaseException:
        running.kill()
        raise
    yield running
    code = running.stop()
    assert "Traceback" not in running.output(), running.output()
    assert code == 0, running.output()


def pytest_collection_modifyitems(items):
    """Marks what lies in the folders and files of MARKS."""
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        for place in (path, *path.parents):
            for mark in MARKS.get(str(place), ()):
                item.add_marker(getattr(pytest.mark, mark))


def pytest_exception_interact(call):
    """A test that took too long (pytest-timeout): its processes are still there."""
    if str(call.excinfo.value).startswith("Timeout"):
        show_stacks()

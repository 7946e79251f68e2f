"""A real Chromium, the real service with Ray, and pages that must keep quiet.

MANDEL_BROWSER says what a missing browser means: ``auto`` (usual): the tests are skipped, and say so; ``require``: they
fail; ``off``: they are skipped. A browser that is here and does not start is always an error.
"""

import os
import re
import socket

import pytest
from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.pages import SMALL, Visitor
from tests.support.web import Web

MODE = os.environ.get("MANDEL_BROWSER", "auto")


def is_open(port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def chromium_path():
    """Where Chromium is; without one the tests are skipped or fail."""
    assert MODE in ("auto", "require", "off"), f"MANDEL_BROWSER={MODE}: it is auto, require or off"
    if MODE == "off":
        pytest.skip("MANDEL_BROWSER=off")
    with sync_playwright() as playwright:
        path = chromium.find(playwright.chromium.executable_path)
    if path is None:
        assert MODE == "auto", chromium.ABSENT
        pytest.skip(chromium.ABSENT)
    return path


@pytest.fixture(scope="module")
def browser(chromium_path):
    """Chromium, for a file of tests: while it runs, no other test can use asyncio."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium_path, args=list(chromium.ARGUMENTS), env=chromium.environment()
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    if not chromium.AXE.exists():
        assert MODE != "require", chromium.NO_AXE
        pytest.skip(chromium.NO_AXE)
    return chromium.AXE.read_text()


@pytest.fixture(scope="session")
def service(chromium_path, real_service):
    """The real service, where there is a browser."""
    return real_service


@pytest.fixture
def visit(browser, service):
    """visit(fragment, **context options) -> a page of the service; at the end it must have kept quiet."""
    visitors = []

    def open_page(fragment: str = "", base: str = service.page, **options) -> Visitor:
        visitors.append(Visitor(browser, base, **options))
        visitors[-1].go(fragment)
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.close()
    for visitor in visitors:
        assert visitor.complaints == []


@pytest.fixture(scope="session")
def web(chromium_path, real_service):
    return Web(int(re.search(r":(\d+)/", real_service.page)[1]))


@pytest.fixture(scope="session")
def film(web):
    """The id of a small film that is done and can be recoloured."""
    job = web.post("/api/jobs", SMALL).json["job"]
    events = web.events()
    if web.get(f"/api/jobs/{job}").json["state"] != "done":
        events.until(
            lambda event, data: event == "job" and data["job"] == job and data["state"] == "done", 120
        )
    events.close()
    return job

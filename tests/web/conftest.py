import re

import pytest

from tests.service.heads import Head
from tests.support.service import free_port
from tests.support.web import Web


@pytest.fixture
def heads(tmp_path):
    """heads(*options) -> a head with a page and the stand-in driver, and a client of the page."""
    started = []

    def start(*options: str, port: int | None = None, **how) -> tuple[Head, Web]:
        web = Web(port or free_port())
        started.append(Head(tmp_path, "--web-port", str(web.port), *options, **how))
        return started[-1], web

    yield start
    for head in started:
        head.end()
    for head in started:
        assert "Traceback" not in head.said() + head.chatter(), head.said() + head.chatter()


@pytest.fixture(scope="module")
def head_and_web(tmp_path_factory):
    """One head for all tests of a module that spoil nothing for the others."""
    web = Web(free_port())
    running = Head(tmp_path_factory.mktemp("web"), "--web-port", str(web.port))
    yield running, web
    running.end()
    assert "Traceback" not in running.said() + running.chatter(), running.said() + running.chatter()


@pytest.fixture
def head(head_and_web):
    return head_and_web[0]


@pytest.fixture
def web(head_and_web):
    return head_and_web[1]


@pytest.fixture(scope="session")
def real_web(real_service):
    """A client of the real service's page."""
    return Web(int(re.search(r":(\d+)/", real_service.page)[1]))

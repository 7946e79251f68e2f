"""The page beside a head that dies, sleeps or wants a token. Its driver is the stand-in: nothing here is rendered."""

import re
import signal

import pytest

from tests.browser.conftest import is_open
from tests.browser.pages import Visitor
from tests.service.heads import SMALL, Head
from tests.support.processes import wait_for
from tests.support.service import free_port
from tests.support.web import Web


@pytest.fixture
def start(browser, tmp_path):
    """start(*options, port) -> a head with a page."""
    heads = []

    def begin(*options: str, port: int) -> Head:
        heads.append(Head(tmp_path, "--web-port", str(port), *options))
        wait_for(lambda: is_open(port), 60, "the page is served")
        return heads[-1]

    yield begin
    for head in heads:
        head.end()


@pytest.fixture
def visitor(browser, start):
    """A page, to be sent somewhere."""
    port = free_port()
    opened = Visitor(browser, f"http://127.0.0.1:{port}/")
    yield opened
    opened.close()
    assert opened.complaints == []


def _port(visitor: Visitor) -> int:
    return int(re.search(r":(\d+)/", visitor.base)[1])


def test_the_page_is_right_after_the_head_was_killed(start, visitor):
    port = _port(visitor)
    head, web = start(port=port), Web(port)
    gone = web.post("/api/jobs", SMALL | {"num_frames": 7}).json["job"]
    visitor.go("#jobs")
    page = visitor.page
    page.locator(f"a[href='#films/{gone}']").wait_for()  # the stand-in has finished it
    head.kill()
    page.get_by_role("status").get_by_text("The service is not reached").wait_for()
    assert page.locator(f"a[href='#films/{gone}']").is_visible()
    assert page.get_by_text(
        "What is shown may be old"
    ).is_visible()  # in words, also where the bar has room for a dot
    start(port=port)
    assert web.ask("DELETE", f"/api/jobs/{gone}").status == 200
    new = web.post("/api/jobs", SMALL | {"num_frames": 8}).json["job"]
    page.locator(f"a[href='#films/{new}']").wait_for()
    page.locator(f"a[href='#films/{gone}']").wait_for(state="detached")
    page.get_by_role("status").get_by_text("Ready").wait_for()
    assert page.get_by_text("What is shown may be old").count() == 0


def test_a_head_that_stands_still_and_a_hidden_page(start, visitor):
    port = _port(visitor)
    head, web = start(port=port), Web(port)
    visitor.go("#jobs")
    page = visitor.page
    page.get_by_text("No film has been ordered yet").wait_for()
    page.evaluate(
        """() => {
          Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.away });
          window.away = true;
          document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    head.process.send_signal(signal.SIGSTOP)
    page.wait_for_timeout(300)
    head.process.send_signal(signal.SIGCONT)
    job = web.post("/api/jobs", SMALL).json["job"]
    page.wait_for_timeout(2500)
    # A page that nobody sees follows nothing, and is right at once when it is seen.
    assert page.locator(".job").count() == 0
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    page.locator(f"a[href='#films/{job}']").wait_for()


def test_a_form_is_right_again_after_the_head_was_killed(start, visitor):
    """It said that the service is not reached until something was changed."""
    port = _port(visitor)
    head = start(port=port)
    visitor.go("#at=-0.5,0.5,1&palette=dusk&mapping=root")
    page = visitor.page
    page.locator(".picture").focus()
    visitor.press("z")
    samples = page.get_by_label("What it takes").get_by_text("million")
    samples.wait_for()
    head.kill()
    page.get_by_role("status").get_by_text("The service is not reached").first.wait_for()
    page.get_by_label("Length, seconds").fill("11")
    page.locator("#refusal").get_by_text("The service is not reached").wait_for()
    assert samples.count() == 0 and page.get_by_text("being measured").count() == 0
    start(port=port)
    samples.wait_for()
    page.locator("#refusal").wait_for(state="detached")


def test_a_token_is_asked_for_and_a_link_may_bring_it(start, browser, visitor, tmp_path):
    port, secret = _port(visitor), tmp_path / "token"
    start("--token-file", str(secret), port=port)
    token = secret.read_text().strip()
    page = visitor.page
    page.goto(visitor.base)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Enter").click()
    page.get_by_role("alert").get_by_text("token").wait_for()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Enter").click()
    page.locator(".bar").wait_for()
    stranger = Visitor(browser, visitor.base)  # has no cookie
    stranger.go(f"#token={token}")
    assert token not in stranger.page.url
    stranger.close()
    assert stranger.complaints == []
    # Where the page is open already, the link changes the fragment alone.
    late = Visitor(browser, visitor.base)
    late.page.goto(late.base)
    late.page.get_by_label("Token").wait_for()
    late.go(f"#token={token}")
    assert token not in late.page.url
    late.page.context.clear_cookies()
    late.page.goto("about:blank")
    late.page.goto(late.base)
    late.page.get_by_label("Token").fill(f"{late.base}#token={token}")  # the whole link will do
    late.page.get_by_role("button", name="Enter").click()
    late.page.locator(".bar").wait_for()
    late.close()
    assert late.complaints == []

"""Takes the pictures of the page that README and docs/web.md show, in the tests' Chromium, of a service of its own.

    python -m docs.page_pictures        # a few minutes; rewrites docs/images/web-*.jpg

To be run after the page or the default look has changed.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.record import ROOT
from tests.browser import chromium
from tests.browser.conftest import is_open
from tests.browser.pages import ALL_DRAWN, Visitor
from tests.support.processes import wait_for
from tests.support.service import Service, free_port
from tests.support.web import Web

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT, QUALITY = 1280, 800, 82
PLACE = "#at=-0.7463,0.1102,0.005"
FILM = {
    "num_frames": 96, "frame_width": 640, "frame_height": 360, "fps": 24, "sampling": "shared", "keep_strips": True,
}  # fmt: skip
# Films of the gallery: name, point, last extent, look.
FILMS = (
    ("Seahorse valley", "-0.7463,0.1102", "0.005", {}),
    ("Needle", "-1.7548776662466927,0", "0.05", {"palette": "glacier"}),
    ("Elephant valley", "0.2755,0.006", "0.012", {"palette": "verdigris"}),
    ("Double spiral", "-0.743643887,0.131825904", "1e-5", {"palette": "ember"}),
    ("Lightning", "-0.170337,1.06506", "0.04", {"palette": "orchid"}),
    ("Copper", "-0.1011,0.9563", "0.002", {"look": "copper"}),
)
# It is still being made when its picture is taken.
LONG = {
    "name": "A long way down", "point": "-0.743643887037151,0.13182590420533", "num_frames": 3600, "fps": 60,
    "frame_width": 1280, "frame_height": 720, "end_delta": "1e-12",
}  # fmt: skip


def take(page: Page, name: str) -> None:
    """Writes what a page shows to docs/images."""
    path = IMAGES / f"web-{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY, timeout=120_000)
    print(path)


def order(visitor: Visitor) -> None:
    """The explorer, and the form of a film to the place in view."""
    visitor.go(PLACE)
    visitor.complete()
    page = visitor.page
    page.get_by_role("button", name="Zoom to here").click()
    page.wait_for_function(ALL_DRAWN)
    page.get_by_label("What it takes").get_by_text(re.compile(r"\d (s|min|h)$")).wait_for()
    take(page, "order")


def films(visitor: Visitor, web: Web) -> None:
    """The gallery of films that are done."""
    jobs = [
        web.post("/api/jobs", {**FILM, **look, "name": name, "point": point, "end_delta": end}).json["job"]
        for name, point, end, look in FILMS
    ]
    for job in jobs:
        wait_for(lambda job=job: web.get(f"/api/jobs/{job}").json["state"] == "done", 600, "a film is done")
    visitor.go("#films")
    page = visitor.page
    page.locator(".film .length").nth(len(jobs) - 1).wait_for()
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.naturalWidth)")
    take(page, "films")


def jobs(visitor: Visitor, web: Web) -> None:
    """Jobs that run, wait and are done."""
    long = web.post("/api/jobs", LONG).json["job"]
    paused = web.post("/api/jobs", {**LONG, "name": "Later", "density": "2"}).json["job"]
    web.post(f"/api/jobs/{paused}/pause")
    visitor.go("#jobs")
    page = visitor.page
    row = page.locator(".job", has_text=LONG["name"])
    row.locator("img").wait_for()
    row.get_by_text(re.compile("left")).wait_for()
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.naturalWidth)")
    take(page, "jobs")
    for job in (long, paused):
        web.post(f"/api/jobs/{job}/cancel")


def main() -> None:
    """Takes all pictures."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        service = Service(Path(folder) / "DB", "--address", "embedded", "--web-port", str(port))
        try:
            wait_for(lambda: is_open(port), 60, "the page is served")
            browser = playwright.chromium.launch(
                executable_path=chromium.find(playwright.chromium.executable_path),
                args=list(chromium.ARGUMENTS),
                env=chromium.environment(),
            )
            visitor = Visitor(browser, f"http://127.0.0.1:{port}/", WIDTH, HEIGHT, color_scheme="dark")
            visitor.page.set_default_timeout(300_000)
            web = Web(port)
            films(visitor, web)
            order(visitor)
            jobs(visitor, web)
            browser.close()
        finally:
            service.stop()


if __name__ == "__main__":
    main()

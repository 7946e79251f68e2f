"""A browser's page with what tests ask of it."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

import imageio.v3 as imageio
import numpy as np

WIDTH, HEIGHT, BAR = 800, 556, 44  # the picture is 800 x 512

# A film that is made at once.
SMALL = {
    "point": "-0.7463,0.1102",
    "num_frames": 48,
    "frame_width": 128,
    "frame_height": 96,
    "fps": 24,
    "end_delta": "0.01",
    "sampling": "shared",
    "keep_strips": True,
}

# Whether all pictures of a form along the zoom are drawn.
ALL_DRAWN = """() => [...document.querySelectorAll('.strip canvas')].every(
  canvas => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3] === 255)"""
# A canvas as a PNG.
_CANVAS = "() => document.querySelector('.picture canvas').toDataURL('image/png').split(',')[1]"
# Resolves in the next frame, when what moves by itself is drawn.
NEXT_FRAME = "() => new Promise(requestAnimationFrame)"
# Modules of the page, by their path.
MODULE = "path => import(document.querySelector('script[type=module]').src.replace('main.js', path))"


class Visitor:
    """One page in a context of its own.

    Attributes:
        complaints: errors of scripts, breaches of the content policy, requests to other hosts.
        asked: (method, path) of each request to the service.
    """

    def __init__(self, browser, base: str, width: int = WIDTH, height: int = HEIGHT, **options):
        self.base = base
        self._context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self._context.new_page()
        self.page.set_default_timeout(120_000)  # for a machine with much else to do
        self.complaints: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._request)

    def _heard(self, message) -> None:
        # What the network says is the business of tests that break it, and plain HTTP cannot isolate windows.
        harmless = ("net::", "status of", "Cross-Origin-Opener-Policy header has been ignored")
        if message.type == "error" and not any(part in message.text for part in harmless):
            self.complaints.append(message.text)

    def _request(self, request) -> None:
        where = urlsplit(request.url)
        if where.scheme in ("blob", "data"):
            return
        if where.netloc != urlsplit(self.base).netloc:
            self.complaints.append(f"asked {request.url}")
        self.asked.append((request.method, where.path))

    def close(self) -> None:
        self._context.close()

    def go(self, fragment: str = "") -> None:
        self.page.goto(self.base + fragment)
        self.page.wait_for_selector(".bar")

    def complete(self) -> None:
        """Waits until the page says that the view is drawn, with the limit that it needs, and its address written."""
        self.page.evaluate(NEXT_FRAME)  # what a test did has reached the page
        self.page.wait_for_selector(".picture[aria-busy=false]", state="attached")
        address = self.page.evaluate("() => location.href")
        self.page.wait_for_url(lambda url: url == address)

    @property
    def place(self) -> tuple[str, str, str]:
        """Real part, imaginary part and extent in the address."""
        found = re.search(r"#at=([^,]+),([^,]+),([^&]+)", self.page.url)
        assert found is not None, self.page.url
        return found.groups()

    @property
    def extent(self) -> float:
        return float(self.place[2])

    def picture(self) -> np.ndarray:
        """The canvas, (height, width, 3) uint8."""
        png = base64.b64decode(self.page.evaluate(_CANVAS))
        return imageio.imread(png, extension=".png")[..., :3]

    def module(self, path: str):
        """A module of the page, for ``evaluate``."""
        return self.page.evaluate_handle(MODULE, path)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, name: str, backwards: bool = False) -> None:
        """Presses Tab until what has this accessible name has the focus: it can be reached by keyboard, and is seen."""
        for _ in range(80):
            self.press("Shift+Tab" if backwards else "Tab")
            if self.page.evaluate(_FOCUSED).strip().startswith(name):
                # The picture's edge lights up, and a film's controls have a focus of their own.
                outline = self.page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none" or name.startswith(("Picture", "Film 2.5")), (
                    f"the focus on {name} is not seen"
                )
                return
        raise AssertionError(f"{name} is not reached by Tab")

    def barriers(self, axe: str) -> list[str]:
        """What axe finds against WCAG 2.2 A and AA."""
        self.page.evaluate(axe)
        found = self.page.evaluate(
            "() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
        )
        return [
            f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found["violations"]
        ]


# The accessible name of what has the focus, near enough.
_FOCUSED = """() => {
  const one = document.activeElement;
  const label = one.labels?.[0]?.firstChild?.textContent || one.closest('label')?.textContent;
  return one.getAttribute('aria-label') || label || one.textContent || '';
}"""

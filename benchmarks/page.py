"""The page's targets (docs/web.md), measured in the tests' Chromium against a service of its own.

    python -m benchmarks.page                  # about two minutes on a quiet machine
    python -m benchmarks.page --megabytes 20   # a smaller film to seek in

Times are the browser's own (performance.now), from an event to the frame that shows what follows from it. Other work
on the machine makes all of them longer: the file has the load average at the begin and the end, the least of each
view's times beside the median, and the CPU time that the view took of the service and the browser, Ray's agents too.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.record import ROOT, add_option, record
from tests.browser import chromium
from tests.browser.conftest import is_open
from tests.browser.pages import HEIGHT, WIDTH, Visitor
from tests.support import processes
from tests.support.service import Service, free_port
from tests.support.web import Web

HOME = "#at=-0.75,0,2.5"
POINT = json.loads((ROOT / "payloads/hd60-1e-100.json").read_text())["point"]
# It hardly zooms: all of its frames cost the same.
FILM = {
    "point": "-0.7463,0.1102", "num_frames": 9000, "frame_width": 1280, "frame_height": 720, "fps": 60,
    "start_delta": "0.01", "end_delta": "0.0098", "maxiter": 1500,
}  # fmt: skip

# Milliseconds to the first tile that is drawn and to all that is to come, after the address has changed.
VIEW = """place => new Promise(done => {
  const picture = document.querySelector('.picture'), canvas = picture.querySelector('canvas');
  const drawn = () => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3] > 0;
  const start = performance.now();
  let first = null;
  location.hash = place;
  const look = () => {
    const now = performance.now() - start;
    if (first === null && drawn()) first = now;
    if (now > 30 && first !== null && picture.ariaBusy === 'false') done([first, now]);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(() => requestAnimationFrame(look));
})"""
# Milliseconds from a wheel's event to a frame after which the canvas is another.
GESTURE = """() => new Promise(done => {
  const picture = document.querySelector('.picture'), canvas = picture.querySelector('canvas');
  const bytes = () => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.join();
  const before = bytes(), start = performance.now();
  const { left, top, width, height } = picture.getBoundingClientRect();
  const at = { clientX: left + width / 3, clientY: top + height / 3, pointerId: 1, bubbles: true };
  picture.setPointerCapture = () => {};
  picture.dispatchEvent(new PointerEvent('pointerdown', at));
  picture.dispatchEvent(new PointerEvent('pointermove', { ...at, clientX: at.clientX + 40 }));
  requestAnimationFrame(() => {
    const shown = performance.now() - start;
    picture.dispatchEvent(new PointerEvent('pointerup', { ...at, clientX: at.clientX + 40 }));
    done(bytes() === before ? null : shown);
  });
})"""
# Milliseconds between frames while the picture is dragged for two seconds.
DRAG = """() => new Promise(done => {
  const picture = document.querySelector('.picture');
  picture.setPointerCapture = () => {};
  const at = (x) => ({ clientX: 400 + x, clientY: 300, pointerId: 1, bubbles: true });
  const gaps = [];
  let before = null, start = performance.now();
  picture.dispatchEvent(new PointerEvent('pointerdown', at(0)));
  const step = (now) => {
    if (before !== null) gaps.push(now - before);
    before = now;
    const x = 150 * Math.sin((now - start) / 300);
    if (now - start < 2000) {
      picture.dispatchEvent(new PointerEvent('pointermove', at(x)));
      requestAnimationFrame(step);
    } else {
      picture.dispatchEvent(new PointerEvent('pointerup', at(x)));
      done(gaps);
    }
  };
  requestAnimationFrame(step);
})"""
SEEK = """to => new Promise(done => {
  const video = document.querySelector('.player video'), start = performance.now();
  video.onseeked = () => done(performance.now() - start);
  video.currentTime = to;
})"""


def frames_done(web: Web, job: str) -> int:
    """How many frames of a job are rendered."""
    return int(web.get(f"/api/jobs/{job}").json["done"])


def rate(web: Web, job: str, seconds: float) -> float:
    """Frames a second of a job, over some seconds."""
    before, start = frames_done(web, job), time.monotonic()
    time.sleep(seconds)
    return (frames_done(web, job) - before) / (time.monotonic() - start)


def cpu_milliseconds(marks: tuple[str, ...]) -> float:
    """CPU time that marked processes have taken so far."""
    ticks = 0
    for pid in [pid for mark in marks for pid in processes.marked(mark)]:
        try:
            user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        except OSError:
            continue  # ended meanwhile
        ticks += int(user) + int(system)
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def views(visitor: Visitor, rounds: int, prefix: str, marks: tuple[str, ...] = ()) -> dict[str, float]:
    """Milliseconds of the home view and of 1e-50, as a new visitor has them: median and least of some loads.

    Args:
        prefix: of the figures' names; empty if nothing is rendered.
        marks: of the processes whose CPU time is told too.
    """
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        # Tiles that are in nobody's memory: of another limit, of another octave.
        other = 2 * number + bool(prefix)
        home, deep = f"{HOME}&maxiter={1_100 + other}", f"#at={POINT},{2.0**-other:.6f}e-50"
        for name, place in (("home", home), ("1e-50", deep)):
            visitor.go("#jobs")
            visitor.page.reload()
            visitor.page.wait_for_selector(".bar")
            before = cpu_milliseconds(marks)
            first, whole = visitor.page.evaluate(VIEW, place)
            if marks:
                found.setdefault(f"{name}, CPU ms", []).append(cpu_milliseconds(marks) - before)
            found.setdefault(f"{name} first, ms{prefix}", []).append(first)
            found.setdefault(f"{name} complete, ms{prefix}", []).append(whole)
    medians = {name: round(statistics.median(times)) for name, times in found.items()}
    return medians | {f"{name}, least": round(min(times)) for name, times in found.items()}


def large_film(web: Web, megabytes: int) -> tuple[str, int]:
    """A done film of about so many bytes: one at 720p of much detail, 2.5 MB a second. Its id and bytes."""
    payload = {
        "point": "-0.74364388703715870475,0.13182590420531197049", "start_delta": "2.5", "end_delta": "1e-8",
        "num_frames": max(24, round(megabytes * 12)), "frame_width": 1280, "frame_height": 720, "fps": 30,
        "maxiter": 3000, "density": "4", "crf": 24, "sampling": "shared", "mapping": "root",
    }  # fmt: skip
    job = web.post("/api/jobs", payload).json["job"]
    while (state := web.get(f"/api/jobs/{job}").json)["state"] != "done":
        assert state["state"] in ("queued", "running"), state
        time.sleep(1)
    size = next(row["bytes"] for row in web.get("/api/jobs").json["jobs"] if row["job"] == job)
    return job, size


def measure(rounds: int, megabytes: int) -> dict[str, object]:
    """All figures."""
    port, row = free_port(), {"load average, begin": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "DB", "--address", "local", "--web-port", str(port))
        try:
            while not is_open(port):
                time.sleep(0.1)
            web = Web(port)
            while not web.is_ready():
                time.sleep(0.5)
            with sync_playwright() as playwright:
                mark = processes.new_mark()
                started = playwright.chromium.launch(
                    executable_path=chromium.find(playwright.chromium.executable_path),
                    args=list(chromium.ARGUMENTS),
                    env=chromium.environment() | {processes.VARIABLE: mark},
                )
                visitor = Visitor(started, f"http://127.0.0.1:{port}/", WIDTH, HEIGHT)
                visitor.page.set_default_timeout(180_000)
                row |= _gestures(visitor, service)
                row |= views(visitor, rounds, "", (service.mark, mark))
                row |= _figures(visitor, web, rounds, megabytes)
                started.close()
        finally:
            service.stop()
    return row | {"load average, end": round(os.getloadavg()[0], 1)}


def _gestures(visitor: Visitor, service: Service) -> dict[str, object]:
    """From a gesture to other pixels, also while the head stands still; frames of a drag."""
    page, row = visitor.page, {}
    visitor.go(HOME)
    visitor.complete()
    for name, act in (("", signal.SIGCONT), (", head stopped", signal.SIGSTOP)):
        service.process.send_signal(act)
        gestures = [page.evaluate(GESTURE) for _ in range(10)]
        row[f"gesture to pixels, ms{name}"] = round(
            statistics.median(g for g in gestures if g is not None), 1
        )
        row[f"gestures not shown in the next frame{name}"] = gestures.count(None)
    service.process.send_signal(signal.SIGCONT)
    visitor.complete()
    gaps = sorted(page.evaluate(DRAG))
    row["drag p50, ms"] = round(gaps[len(gaps) // 2], 1)
    row["drag p95, ms"] = round(gaps[int(len(gaps) * 0.95)], 1)
    visitor.complete()
    return row


def _figures(visitor: Visitor, web: Web, rounds: int, megabytes: int) -> dict[str, object]:
    page, row = visitor.page, {}

    job = web.post("/api/jobs", FILM).json["job"]
    while frames_done(web, job) < 24:
        time.sleep(0.5)
    before = rate(web, job, 10)
    row |= views(visitor, rounds, ", beside a film")
    visitor.go("#jobs")
    row["film, frames/s, page open"] = round(rate(web, job, 10), 2)
    row["film, frames/s, before"] = round(before, 2)

    page.get_by_text("running").first.wait_for()
    start = time.monotonic()
    web.post(f"/api/jobs/{job}/pause")
    page.locator(".job", has_text="0.0098").get_by_text("paused", exact=True).wait_for()
    row["job event to page, ms"] = round(1000 * (time.monotonic() - start))
    web.post(f"/api/jobs/{job}/cancel")

    film, size = large_film(web, megabytes)
    visitor.go(f"#films/{film}")
    page.locator(".player video").wait_for()
    page.wait_for_function("() => document.querySelector('.player video').readyState >= 2")
    page.evaluate("() => document.querySelector('.player video').pause()")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[int] = []
    session.on("Network.dataReceived", lambda event: received.append(event["dataLength"]))
    length = page.evaluate("() => document.querySelector('.player video').duration")
    row["film to seek in, MB"] = round(size / 1e6)
    seeks = [page.evaluate(SEEK, length * share) for share in (0.8, 0.3, 0.95, 0.5)]
    row["seek, ms"] = round(statistics.median(seeks))
    row["seek, share of its bytes"] = round(sum(received) / len(seeks) / size, 3)
    received.clear()
    page.evaluate("() => document.querySelector('.player video').play()")
    for share in (0.1, 0.7, 0.4):
        page.evaluate(SEEK, length * share)
        page.wait_for_timeout(1000)
    row["seek and a second of playing, share"] = round(sum(received) / 3 / size, 3)
    return row


def main() -> None:
    """Measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="loads of each view (default 5)")
    parser.add_argument("--megabytes", type=int, default=200, help="about so large is the film to seek in")
    parser.add_argument(
        "--note", default="", help="what a reader must know, such as other load on the machine"
    )
    add_option(parser)
    options = parser.parse_args()
    row = measure(options.rounds, options.megabytes)
    for name, value in row.items():
        print(f"{name:40} {value}")
    cores = len(os.sched_getaffinity(0))
    record("page", [row], "cpu", cores, options.results, note=options.note)


if __name__ == "__main__":
    main()

"""Server-sent events: right at first, after a broken connection and after the head was killed; many tabs, slow tabs."""

import asyncio
import json
import socket
import threading
import time
from types import SimpleNamespace

from aiohttp import web as aiohttp_web
from aiohttp.test_utils import TestClient, TestServer

from mandel.web.answers import ADDRESS, WHOSE, OffLoop
from mandel.web.events import _MOST_BEHIND, _MOST_STREAMS, Events, Stream
from tests.service.heads import SMALL
from tests.support.processes import wait_for


class Page:
    """What a page knows, from what it heard."""

    def __init__(self):
        self.jobs, self.last, self.snapshots = {}, None, 0

    def hear(self, event: str, number: str, data: dict) -> None:
        self.last = number
        if event == "snapshot":
            self.jobs = {row["job"]: row for row in data["jobs"]}
            self.snapshots += 1
        elif event == "job":
            self.jobs[data["job"]] = data
        elif event == "gone":
            del self.jobs[data["job"]]

    def follow(self, events, right, seconds: float = 60) -> None:
        """Hears what comes, until ``right()``."""
        deadline = time.monotonic() + seconds
        while not right():
            assert time.monotonic() < deadline
            self.hear(*events.next())

    def is_in(self, job: str, state: str) -> bool:
        return self.jobs.get(job, {}).get("state") == state


def begun(web, maxiter: int) -> str:
    return web.post("/api/jobs", {**SMALL, "maxiter": maxiter}).json["job"]


def test_a_page_hears_of_a_job_from_its_beginning_to_its_end(web):
    events, page = web.events(), Page()
    page.hear(*events.next())
    assert page.snapshots == 1
    job = begun(web, 21)
    page.follow(events, lambda: page.is_in(job, "done"))
    assert page.jobs[job]["done"] == 12
    web.ask("DELETE", f"/api/jobs/{job}")
    page.follow(events, lambda: job not in page.jobs)
    events.close()
    assert page.snapshots == 1
    assert page.jobs == {row["job"]: row for row in web.get("/api/jobs").json["jobs"]}


def test_what_others_do_is_heard_too(head, web):
    head.ask(**{**SMALL, "maxiter": 22})
    events, page = web.events(), Page()
    page.hear(*events.next())
    job = next(job for job in page.jobs if page.is_in(job, "done"))
    head.ask(op="delete", job=job)
    page.follow(events, lambda: job not in page.jobs)
    events.close()


def test_a_broken_connection_goes_on_where_it_was(head, web):
    head.order("hold")
    jobs = [begun(web, 30 + n) for n in range(3)]
    events, page = web.events(), Page()
    page.hear(*events.next())
    assert all(page.jobs[job]["state"] in ("queued", "running") for job in jobs)
    events.close()
    head.withdraw("hold")  # while nobody listens
    wait_for(
        lambda: all(web.get(f"/api/jobs/{job}").json["state"] == "done" for job in jobs), 60, "all are done"
    )
    events = web.events(page.last)
    page.follow(events, lambda: all(page.is_in(job, "done") for job in jobs))
    events.close()
    assert page.snapshots == 1  # it was told changes alone


def test_a_number_that_says_nothing_brings_a_snapshot(web):
    for last in ("", "x", "00000000-5", "-1", "99999999999999999999", "0" * 9 + "-1"):
        events = web.events(last)
        assert events.next()[0] == "snapshot", last
        events.close()


def test_a_killed_head_tells_its_new_life_from_the_old_one(heads):
    head, web = heads()
    head.order("hold")
    job = begun(web, 23)
    events, page = web.events(), Page()
    page.hear(*events.next())
    head.kill()
    try:
        while True:
            page.hear(*events.next())
    except (EOFError, OSError):
        pass
    events.close()
    head.withdraw("hold")
    _, web = heads(port=web.port)
    events = web.events(page.last)
    assert not page.is_in(job, "done") and page.snapshots == 1
    page.follow(events, lambda: page.is_in(job, "done"))
    assert page.snapshots == 2
    events.close()


def test_a_thousand_tabs_block_nobody(heads):
    head, web = heads()
    request = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode()
    tabs = []
    try:
        for _ in range(1_000):
            tab = socket.create_connection(("127.0.0.1", web.port), 30)
            tabs.append(tab)
            tab.sendall(request)  # and reads nothing
        job = head.ask(**{**SMALL, "maxiter": 24})
        assert job.video  # the socket serves on, and renders
        told = []
        for tab in tabs[:400]:
            tab.settimeout(30)
            told.append(tab.recv(12))
        assert 1 <= told.count(b"HTTP/1.1 200") <= _MOST_STREAMS and told.count(b"HTTP/1.1 503") > 0
        assert head.ask(op="status").last["version"]
    finally:
        for tab in tabs:
            tab.close()
    wait_for(lambda: web.get("/api/state").status == 200, 30, "the page is served again")
    events = web.events()
    assert events.next()[0] == "snapshot"
    events.close()


def test_who_falls_behind_gets_a_snapshot_and_costs_a_bounded_queue():
    stream = Stream()
    for number in range(10 * _MOST_BEHIND):
        stream.tell(b"%d" % number)
    assert stream.behind and len(stream.waiting) <= _MOST_BEHIND
    stream.behind = False
    stream.tell(b"next")
    assert list(stream.waiting) == [b"next"]


class FullRegistry:
    """More live jobs than a list holds; it counts how often it is asked for the list."""

    def __init__(self):
        self.live = {f"{number:064x}": 0 for number in range(1_500)}  # oldest first: what each has done
        self.lists = 0

    def _row(self, job):
        return {"job": job, "state": "running", "done": self.live[job]}

    def list(self):
        self.lists += 1
        return json.dumps([self._row(job) for job in list(self.live)[-1_000:]]).encode()

    def progress_of(self, jobs):
        return [self._row(job) for job in jobs if job in self.live]

    def count(self):
        return {"running": len(self.live)}


def test_more_live_jobs_than_a_list_holds_cost_no_list_a_second():
    async def off_loop(act, *arguments):
        return act(*arguments)

    async def play():
        registry = FullRegistry()
        service = SimpleNamespace(registry=registry, status=dict, settings=SimpleNamespace(stall_timeout=9.0))
        events, stream = Events(service, off_loop), Stream()
        await events._look()
        events._streams.add(stream)
        for done in range(1, 6):
            registry.live["0" * 64] = registry.live[f"{1_499:064x}"] = done  # one that no list shows, and one
            await events._look()
        assert registry.lists == 1
        assert [json.loads(event.split(b"data: ")[1])["done"] for event in stream.waiting] == [1, 2, 3, 4, 5]
        del registry.live[f"{1_499:064x}"]  # the oldest that pages do not know comes up
        await events._look()
        assert registry.lists == 2
        assert sorted(event.split(b"\n")[0] for event in list(stream.waiting)[5:]) == [
            b"event: gone",
            b"event: job",
        ]

    asyncio.run(play())


def test_whoever_listened_first_holds_up_the_events_of_nobody():
    """He has all the threads that one address may have."""

    async def play():
        registry, off_loop, let = FullRegistry(), OffLoop(8, 8), threading.Event()
        service = SimpleNamespace(registry=registry, status=dict, settings=SimpleNamespace(stall_timeout=9.0))
        events = Events(service, off_loop)

        async def follow(asked):
            asked[ADDRESS] = asked.headers["X-From"]
            WHOSE.set(asked[ADDRESS])
            return await events.answer(asked, lambda: True)

        async def hold():
            WHOSE.set("stranger")
            await off_loop(let.wait, 120)

        app = aiohttp_web.Application()
        app.add_routes([aiohttp_web.get("/", follow)])
        async with TestClient(TestServer(app)) as client:
            first = await client.get("/", headers={"X-From": "stranger"})
            mine = await client.get("/", headers={"X-From": "me"})
            held = [asyncio.create_task(hold()) for _ in range(8)]
            await asyncio.gather(*held[6:], return_exceptions=True)  # for which there is no place
            registry.live[f"{1_499:064x}"] = 77
            try:
                while b'"done":77' not in await asyncio.wait_for(mine.content.readline(), 60):
                    pass
                assert not any(each.done() for each in held[:6])
            finally:
                let.set()
                await asyncio.gather(*held, return_exceptions=True)
            first.close()
            mine.close()
        off_loop.close()

    asyncio.run(play())

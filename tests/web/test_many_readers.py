"""Many who read a film at once, where the disk is slow."""

import asyncio
import os
import threading
from collections import Counter
from types import SimpleNamespace

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mandel.store.files import StoredFile
from mandel.web import media
from mandel.web.answers import _MOST_WAITING, OffLoop

READERS = _MOST_WAITING + 20


def test_a_film_that_has_begun_is_never_cut_short_because_many_read(tmp_path, monkeypatch):
    film = tmp_path / "video.mp4"
    film.write_bytes(os.urandom(100_000))
    disk, waiting, most = threading.Event(), Counter(), []

    def slow(*asked):
        assert disk.wait(60)
        return os.pread(*asked)

    monkeypatch.setattr(media, "os", SimpleNamespace(pread=slow))

    class Counted(OffLoop):
        async def __call__(self, act, *arguments):
            waiting[act] += 1
            most.append(waiting[act])
            if waiting[act] == READERS:
                disk.set()
            return await super().__call__(act, *arguments)

    async def all_read():
        service = SimpleNamespace(settings=SimpleNamespace(stall_timeout=60))
        off_loop, read = OffLoop(), Counted(most=float("inf"))
        sender = media.Media(service, off_loop, read)

        async def send(asked):
            stored = StoredFile(film.open("rb"), film.stat().st_size, "0" * 64)
            return await sender._send(asked, stored, "video/mp4", None)

        app = web.Application()
        app.router.add_get("/", send)
        async with TestClient(TestServer(app)) as client:

            async def one():
                async with client.get("/") as told:
                    return await told.read()

            try:
                return await asyncio.gather(*(one() for _ in range(READERS)), return_exceptions=True)
            finally:
                disk.set()
                off_loop.close()
                read.close()

    bodies = asyncio.run(all_read())
    assert max(most) > _MOST_WAITING  # so many waited for the disk
    assert [body for body in bodies if body != film.read_bytes()] == []

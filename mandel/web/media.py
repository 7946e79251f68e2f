"""Videos with ranges, posters, and the last picture of a job that is not done."""

from __future__ import annotations

import asyncio
import os
import re
from collections import OrderedDict
from math import log2

from aiohttp import web

from mandel import plain_file
from mandel.errors import MandelError, StoreError
from mandel.protocol.reply import VIDEO_TYPES
from mandel.service.service import Service
from mandel.store.files import StoredFile
from mandel.store.names import POSTER, SEGMENT
from mandel.store.states import DONE
from mandel.video import ffmpeg
from mandel.video.h264 import first_picture
from mandel.web.answers import OffLoop, refusal, write
from mandel.web.jobs import resolved

_PIECE = 256 << 10
# What a range begins with, and the seconds in which what may be sent of it doubles. A player asks for all that follows,
# and whoever seeks leaves again at once: what was on its way then is lost.
_FIRST, _DOUBLES = 2 << 20, 0.5
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_LONGEST_SIDE = 640
_STREAM = b"\0\0\0\1"  # what a segment of H.264 begins with; others are Matroska
_MOST_PICTURES, _MOST_DECODED = 64, 2


def byte_range(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks of a file of ``size`` bytes; an empty range: none of them; None: all of it.

    What is no single range of bytes is passed over, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        return range(max(0, size - int(match[2])), size)
    if match[2] and int(match[2]) < int(match[1]):
        return None
    return range(int(match[1]), min(size, int(match[2]) + 1) if match[2] else size)


def due(sent: int) -> float:
    """Seconds after its begin at which an answer to a range may have so many bytes."""
    return _DOUBLES * log2(max(sent / _FIRST, 1))


class Media:
    """Handlers for ``/media`` and the last pictures of jobs.

    Args:
        read: reads the pieces of answers that have begun; refuses none, for that would be a film cut short.
    """

    def __init__(self, service: Service, off_loop: OffLoop, read: OffLoop):
        self._service, self._off_loop, self._read = service, off_loop, read
        self._pictures: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._decoding = asyncio.Semaphore(_MOST_DECODED)

    async def video(self, asked: web.Request) -> web.StreamResponse:
        """``GET /media/ID/video.mp4``."""
        stored, job, kind = await self._off_loop(self._video, asked)
        name = f"{job[:16]}.{kind}"
        return await self._send(asked, stored, VIDEO_TYPES[kind], name if "download" in asked.query else None)

    async def poster(self, asked: web.Request) -> web.StreamResponse:
        """``GET /media/ID/poster.png``."""
        return await self._send(asked, await self._off_loop(self._poster, asked), "image/png", None)

    async def last(self, asked: web.Request) -> web.StreamResponse:
        """``GET /api/jobs/ID/last.png``."""
        job, number = await self._off_loop(self._last_segment, asked)
        tag = f'"{job[:16]}-{number}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if asked.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        if (picture := self._pictures.get((job, number))) is None:
            async with self._decoding:
                picture = await self._off_loop(self._decoded, job, number)
            self._pictures[job, number] = picture
            if len(self._pictures) > _MOST_PICTURES:
                self._pictures.popitem(last=False)
        return web.Response(body=picture, content_type="image/png", headers=headers)

    # -- on a thread ------------------------------------------------------

    def _video(self, asked: web.Request) -> tuple[StoredFile, str, str]:
        registry, job = self._service.registry, resolved(self._service, asked)
        found = registry.find(job)
        stored = registry.open(job) if found is not None and found.state == DONE else None
        if stored is None:
            raise StoreError("NO_PICTURE", "the job is not done: there is no video yet", field="job")
        return stored, job, stored.container

    def _poster(self, asked: web.Request) -> StoredFile:
        try:
            return self._service.store.open(resolved(self._service, asked), POSTER)
        except StoreError as error:
            raise StoreError("NO_PICTURE", "there is no poster of this job", field="job") from error

    def _last_segment(self, asked: web.Request) -> tuple[str, int]:
        job = resolved(self._service, asked)
        segments = self._service.store.stored_frames(job)
        if not segments:
            raise StoreError("NO_PICTURE", "no part of this job is stored yet", field="job")
        return job, max(segments)

    def _decoded(self, job: str, number: int) -> bytes:
        """A segment's first picture as a PNG."""
        try:
            with plain_file.reader(self._service.store.names.file(job, SEGMENT, number)) as file:
                segment = file.read()
        except OSError as error:  # its video was joined meanwhile
            raise StoreError("NO_PICTURE", "this part is gone; ask again", field="job") from error
        is_stream = segment.startswith(_STREAM)
        scale = (
            f"scale='min({_LONGEST_SIDE},iw)':'min({_LONGEST_SIDE},ih)':force_original_aspect_ratio=decrease"
        )
        return ffmpeg.run([
            "-threads", "1", "-f", "h264" if is_stream else "matroska", "-i", "pipe:0",
            "-map", "0:v:0", "-frames:v", "1", "-filter_threads", "1",
            "-vf", f"{scale}:flags=area:in_color_matrix=bt709", "-pix_fmt", "rgb24",
            "-f", "image2pipe", "-c:v", "png", "pipe:1",
        ], first_picture(segment) if is_stream else segment)  # fmt: skip

    # -- and sent ---------------------------------------------------------

    async def _send(
        self, asked: web.Request, stored: StoredFile, kind: str, download: str | None
    ) -> web.StreamResponse:
        """A stored file, or the part of it that is asked for; closes it."""
        with stored.file:
            tag = f'"{stored.sha256}"'
            headers = {
                "ETag": tag,
                "Accept-Ranges": "bytes",
                "Cache-Control": "private, no-cache",  # a job may be deleted, and made again
            }
            if download is not None:
                headers["Content-Disposition"] = f'attachment; filename="{download}"'
            if asked.headers.get("If-None-Match") in (tag, "*"):
                return web.Response(status=304, headers=headers)
            wanted = None
            if asked.headers.get("If-Range") in (None, tag):
                wanted = byte_range(asked.headers.get("Range"), stored.bytes)
            if wanted is not None and not wanted:
                response = refusal(MandelError("OUT_OF_RANGE", f"the file has {stored.bytes} bytes"))
                response.set_status(416)
                response.headers["Content-Range"] = f"bytes */{stored.bytes}"
                return response
            part = range(stored.bytes) if wanted is None else wanted
            sent = web.StreamResponse(status=200 if wanted is None else 206, headers=headers)
            sent.content_type, sent.content_length = kind, len(part)
            if wanted is not None:
                sent.headers["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{stored.bytes}"
            await sent.prepare(asked)
            if asked.method != "HEAD":
                await self._pour(asked, sent, stored.file.fileno(), part)
            await sent.write_eof()
            return sent

    async def _pour(self, asked: web.Request, sent: web.StreamResponse, file: int, part: range) -> None:
        """Sends a part of a file, the more at once the longer somebody stays; cuts off who takes nothing."""
        loop = asyncio.get_running_loop()
        begun, is_range = loop.time(), sent.status == 206
        try:
            for first in range(part.start, part.stop, _PIECE):
                if is_range:
                    await asyncio.sleep(begun + due(first - part.start) - loop.time())
                data = await self._read(os.pread, file, min(_PIECE, part.stop - first), first)
                if not data:
                    raise OSError("the file shrank while it was sent")
                await write(asked, sent, data, self._service.settings.stall_timeout)
        except (OSError, MandelError) as error:  # too late for another answer
            if asked.transport is not None:
                asked.transport.abort()
            raise ConnectionResetError(str(error)) from error

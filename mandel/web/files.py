"""The page's own files, in memory, under a name that changes whenever one of them does."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from mandel.web.answers import OffLoop

FOLDER = Path(__file__).parent / "page"
INDEX, _VERSION_MARK = "index.html", b"__VERSION__"
# What a browser may be given, and as what: nothing else is served.
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
    ".txt": "text/plain",
    ".LICENSE": "text/plain",
}
_TEXT = ("text/", "application/json", "image/svg")
_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    kind: str
    data: bytes
    packed: bytes | None  # gzip, where that is smaller


class Files:
    """Serves a folder. Files that change while the service runs are read again when the page is loaded.

    Args:
        folder: with ``index.html``.
    """

    def __init__(self, off_loop: OffLoop, folder: Path = FOLDER):
        self._off_loop, self._folder = off_loop, folder
        self._seen: object = None
        self._files: dict[str, _File] = {}
        self._version = ""

    async def index(self, request: web.Request) -> web.StreamResponse:
        """``/``: the page."""
        await self._off_loop(self._read)
        return self._answer(request, INDEX, "no-cache")

    async def static(self, request: web.Request) -> web.StreamResponse:
        """``/static/VERSION/PATH``."""
        if not self._files:
            await self._off_loop(self._read)
        current = request.match_info["version"] == self._version
        return self._answer(request, request.match_info["path"], _YEAR if current else "no-store")

    def _answer(self, request: web.Request, name: str, cache: str) -> web.StreamResponse:
        if (file := self._files.get(name)) is None:
            raise web.HTTPNotFound
        tag = f'"{self._version}"'
        headers = {"Cache-Control": cache, "ETag": tag, "Vary": "Accept-Encoding"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        data = file.data
        if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"], data = "gzip", file.packed
        charset = "utf-8" if file.kind.startswith(_TEXT) else None
        return web.Response(body=data, content_type=file.kind, charset=charset, headers=headers)

    def _read(self) -> None:
        paths = sorted(
            path
            for path in self._folder.rglob("*")
            if path.suffix in TYPES and path.is_file() and not path.is_symlink()
        )
        seen = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
        if seen == self._seen:
            return
        plain = {path.relative_to(self._folder).as_posix(): path.read_bytes() for path in paths}
        digest = hashlib.sha256()
        for name, data in plain.items():
            digest.update(f"{name} {len(data)} ".encode() + data)
        version = digest.hexdigest()[:16]
        files = {}
        for name, data in plain.items():
            kind = TYPES[Path(name).suffix]
            served = data.replace(_VERSION_MARK, version.encode()) if name == INDEX else data
            packed = gzip.compress(served, 9, mtime=0) if kind.startswith(_TEXT) else served
            files[name] = _File(kind, served, packed if len(packed) < len(served) else None)
        self._files, self._version, self._seen = files, version, seen

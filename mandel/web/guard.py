"""What every request must show before anything else is done, and what every answer says to the browser.

A browser lets any page that somebody visits send requests to this port. So a request must name a host that is ours, or
a foreign name that was made to point here would count as the same origin. One that changes something must come from
our own page.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from mandel.errors import MandelError
from mandel.web.answers import ADDRESS, refusal
from mandel.web.sessions import Sessions

_log = logging.getLogger("mandel.clients")

_OPENER = "Cross-Origin-Opener-Policy"
HEADERS = {
    "Server": "mandel",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    _OPENER: "same-origin",
}
_TRUSTED = ("localhost", "127.0.0.1", "::1")  # as good as https to browsers
_GUARDED = ("/api/", "/tile/", "/media/")
_WITHOUT_SESSION = ("/api/login", "/api/state")
_SAFE = ("GET", "HEAD")
# In brackets stands an IPv6 literal and nothing else: no name, and no zone, which may be any text.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?")


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; "" for what is none."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""


class Guard:
    """A middleware.

    Args:
        names: by which browsers may call this host, beside ``localhost`` and all IP literals.
        scheme: ``http`` or ``https``.
    """

    def __init__(self, names: Iterable[str], scheme: str, sessions: Sessions):
        self._names = {"localhost", *(name.lower() for name in names if name)}
        self._scheme, self._sessions = scheme, sessions
        self.cookie = "__Host-mandel-session" if scheme == "https" else "mandel-session"

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers a request, errors as JSON."""
        try:
            self._check(request)
            return await handler(request)
        except web.HTTPException as error:  # of the router and of aiohttp's reader
            code = {404: "NOT_FOUND", 405: "NOT_FOUND", 413: "TOO_LARGE"}.get(error.status, "BAD_REQUEST")
            response = refusal(MandelError(code, "there is nothing at this address for this method"))
            response.set_status(error.status)
            return response
        except MandelError as error:
            _log.info("%s: %s %s: %s", request.remote, request.method, request.path[:200], error.code)
            return refusal(error)
        except OSError as error:
            if isinstance(error, ConnectionError):  # nobody is there to be told
                raise
            _log.error("%s: %s: %r", request.remote, request.path[:200], error)
            return refusal(
                MandelError("DISK_FAILED", f"the service's disk failed: {error.strerror or error}")
            )
        except Exception as error:  # a fault of ours; the service must go on
            _log.exception("%s: %s: INTERNAL: %r", request.remote, request.path[:200], error)
            return refusal(MandelError("INTERNAL", "the service failed on this request; its log says why"))

    def _check(self, request: web.Request) -> None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._is_ours(host_name(hosts[0])):
            raise MandelError(
                "FOREIGN_HOST",
                "this service does not go by that name; use its address or localhost, or start it with --web-name NAME",
            )
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        foreign = origin is not None and origin != f"{self._scheme}://{hosts[0]}"
        guarded = request.path.startswith(_GUARDED)
        if request.method not in _SAFE:
            foreign = foreign or (origin is None and site != "same-origin")
        elif guarded:
            foreign = foreign or site not in (None, "same-origin", "none")
        else:
            foreign = False  # a link from elsewhere may lead to the page, which holds no secret
        if foreign:
            raise MandelError("FOREIGN_ORIGIN", "only the service's own page may ask this")
        if guarded and request.path not in _WITHOUT_SESSION and not self.is_signed_in(request):
            raise MandelError("UNAUTHORIZED", "sign in with the service's token first", field="token")

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)  # nobody can make a literal point elsewhere
        except ValueError:
            return False
        return True

    def is_signed_in(self, request: web.Request) -> bool:
        """Whether a request may see jobs."""
        return not self._sessions.needed or self._sessions.open(request.cookies.get(self.cookie))

    def client(self, request: web.Request) -> str:
        """Whom a request counts for: where there are sessions, each of an address by itself."""
        session = request.cookies.get(self.cookie, "") if self._sessions.needed else ""
        data = session.encode(errors="surrogateescape")  # anybody may send any bytes
        return (f"{hashlib.sha256(data).hexdigest()[:16]}@" if session else "") + request[ADDRESS]

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Before a response begins."""
        response.headers.update(HEADERS)
        if not (request.secure or host_name(request.headers.get("Host", "")) in _TRUSTED):
            del response.headers[_OPENER]  # browsers pass over it there, and complain

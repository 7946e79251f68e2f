"""``ray_head.py``: runs the service until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mandel import settings as settings_module
from mandel.errors import MandelError
from mandel.service.net.listener import listen
from mandel.service.service import Service, driver_command
from mandel.settings import PayloadLimits, Settings
from mandel.terminal.arguments import Parser
from mandel.terminal.format import size, typed

if TYPE_CHECKING:
    from mandel.web.server import WebServer

_log = logging.getLogger("mandel")

EXIT_BAD_SETTING = 2
EXIT_CANNOT_START = 3
EXIT_FORCED = 130
_BAD_SETTING = ("BAD_SETTING", "UNKNOWN_DEVICE")
_USUAL_ADDRESSES = ("auto", "local", "embedded")
_CHECK_SECONDS = 15.0  # `mandel zoom` waits 30 s for the service
_PACKAGES = Path(__file__).parents[2]  # for a head that was not started where the packages are

_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - to listen on, not to connect to
_LONGEST_LINE = 2_000
_PER_CONNECTION = 3  # descriptors: a connection takes two, and one more may be closing
# Of the page: connections at once, the descriptors that one takes with a film, and the page's part where few are lent.
_MOST_OF_PAGE, _PER_PAGE_CONNECTION, _PAGE_PART = 512, 2, 5
# Descriptors for everything else: enough for the driver and its Ray too, which inherit the limit; and the
# fewest that the service itself needs.
_BESIDE, _MIN_BESIDE = 1024, 100


class _OneLine(logging.Formatter):
    """Writes each record on one line without control characters, also if it quotes a client or a compiler."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        text = text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "..."
        return "".join(c if c.isprintable() else " " for c in text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=typed("head"),
        usage="%(prog)s [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="The Mandelbrot zoom service: takes payloads on a TCP port, renders them on a Ray cluster,\n"
        "stores and sends the videos.",
        epilog="Prints where it listens and stores, and what clients need, once it takes requests; its log goes\n"
        "to standard error, one line an event.\n\n"
        "exit codes: 0 stopped by a signal, 2 a bad option, 3 could not start, 130 stopped at once",
    )
    settings_module.add_options(parser, without=("tls_ca",))  # that one is for clients
    settings_module.add_options(parser.add_argument_group("limits of what may be asked"), PayloadLimits)
    return parser


def _allow_descriptors(settings: Settings) -> tuple[Settings, int]:
    """Raises the process's limit of descriptors, so that all connections have theirs.

    Where the hard limit is too low, logs a warning and allows fewer connections.

    Returns:
        Settings with the connections that are allowed, and how many are allowed to the page.
    """
    page = _MOST_OF_PAGE if settings.web_port else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PER_CONNECTION * settings.max_connections + _PER_PAGE_CONNECTION * page + _BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings, page
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    free = allowed - _MIN_BESIDE
    left = max(free // _PAGE_PART, free - _PER_CONNECTION * settings.max_connections)
    page = max(0, min(page, left // _PER_PAGE_CONNECTION))
    max_connections = max(1, (free - _PER_PAGE_CONNECTION * page) // _PER_CONNECTION)
    if max_connections >= settings.max_connections:
        return settings, page
    _log.warning(
        "the system lends this process %d descriptors: %d connections are served at once instead of %d, "
        "and %d to the page. "
        "Raise the hard limit (ulimit -Hn, LimitNOFILE=) to %d for all of them",
        allowed,
        max_connections,
        settings.max_connections,
        page,
        wanted,
    )
    return replace(settings, max_connections=max_connections), page


class _Signals:
    """Waits for SIGINT and SIGTERM. The C-level signal handler writes each into a socket, so none is lost.

    Python code in a handler would run on the main thread, when that wakes, and could find any lock held.
    Blocking the signals instead would also block them in all child processes. Create this on the main thread.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        wake, self._woken = socket.socketpair()
        wake.setblocking(False)
        self._wake = wake  # kept open as long as this object lives
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def wait(self) -> None:
        """Waits until the first signal."""
        self._asked.wait()

    def _watch(self) -> None:
        count = 0
        while count < 2:
            count += sum(number in (signal.SIGINT, signal.SIGTERM) for number in self._woken.recv(64))
            if count:
                self._asked.set()
        _log.warning("stopped at once; accepted jobs are kept")
        os._exit(EXIT_FORCED)  # the leash ends the driver


def _check_renderer(settings: Settings) -> None:
    """Checks address and device, where they are not the usual ones: a driver would be started again and again.

    Raises:
        MandelError: BAD_SETTING, UNKNOWN_DEVICE or NO_DEVICE.
    """
    usual = settings.device == "auto" and settings.address in _USUAL_ADDRESSES
    if usual and not os.environ.get("RAY_ADDRESS"):
        return
    command = [sys.executable, "-m", "mandel.cli.able", settings.address, settings.device]
    path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
    try:
        said = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_CHECK_SECONDS,
            check=False,
        ).stdout
        error = MandelError.from_dict(json.loads(said)) if said else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return  # the driver will say it
    if error is not None:
        raise error


def room(service: Service, settings: Settings) -> str:
    """A line for people: the size of DB/ and its limit."""
    taken, max_bytes = service.store.usage().total, service.registry.most_bytes
    why = (
        "--max-db-bytes"
        if settings.max_db_bytes
        else (f"{settings.max_db_share:.0%} of that and what is free; --max-db-bytes sets it")
    )
    allowed = "all that its disk has" if max_bytes is None else size(max_bytes)
    return f"it takes {size(taken)} and may take {allowed} ({why}); then old videos make room for new ones"


def _page(service: Service, settings: Settings, most: int) -> WebServer | None:
    """The web server, which serves ``most`` connections already; None if it is turned off or has no port."""
    if not settings.web_port:
        return None
    try:
        port = listen(settings.host, settings.web_port)
    except MandelError as error:
        _log.warning(
            "there is no web page: %s",
            error.message.replace("--port", "--web-port").replace("perhaps by", "by"),
        )
        return None
    from mandel.web.server import WebServer  # takes a third of a second, for the page alone

    names = (settings.host, socket.gethostname(), *settings.web_name.split(","))
    page = WebServer(service, port, tuple(name.strip() for name in names), most)
    page.start()
    return page


def _link(page: WebServer, service: Service) -> str:
    """The page's address for people; on a terminal with the token, which signs the browser in."""
    host = socket.gethostname() if page.host in _ALL_ADDRESSES else page.host
    where = f"{page.scheme}://{f'[{host}]' if ':' in host else host}:{page.port}/"
    service.listener.web = where
    if service.access.token_file is None:
        return where
    if sys.stdout.isatty():
        return f"{where}#token={service.access.token}"
    return f"{where} (sign in with the token in {service.access.token_file})"


def main(argv: list[str] | None = None, driver: Callable[[Settings], list[str]] = driver_command) -> int:
    """Runs the service.

    Args:
        driver: function that makes the driver's command line from the settings.

    Returns:
        0 after SIGINT or SIGTERM, else one of the EXIT constants.
    """
    options = _parser().parse_args(argv)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        settings = settings_module.read(options)
        _check_renderer(settings)
        settings, most_of_page = _allow_descriptors(settings)
        service = Service(settings, driver(settings))
    except MandelError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return EXIT_BAD_SETTING if error.code in _BAD_SETTING else EXIT_CANNOT_START
    signals = _Signals()
    if not service.listener.is_private:
        _log.warning("%s is open to the network: whoever has the token can start jobs", service.listener.host)
    service.start()
    page = _page(service, settings, most_of_page)
    host, port = service.listener.host, service.listener.port
    token = f" --token-file {service.access.token_file}" if service.access.token_file else ""
    print(
        f"listening on {host}:{port}\n"
        f"storing under {service.store.names.root}: {service.store.recovery}\n"
        f"{room(service, settings)}\n"
        f"the renderer is starting; send a payload with: {typed('client')} "
        f"--host {socket.gethostname() if host in _ALL_ADDRESSES else host} --port {port}{token}",
        flush=True,
    )
    if page is not None:
        print(
            f"the web page: {_link(page, service)} - open it to look around, order films and play them",
            flush=True,
        )
    if token:
        print("clients on other machines need a copy of that token", flush=True)
        if not service.access.encrypted:
            print("the token and the videos travel in clear; --tls-cert turns TLS on", flush=True)
    signals.wait()
    _log.info("stopping: no more connections; finishing what is in hand (again to stop at once)")
    if page is not None:
        page.close()
    service.stop()
    _log.info("stopped; accepted jobs go on at the next start")
    return 0

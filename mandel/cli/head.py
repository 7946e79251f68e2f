"""``ray_head.py``: the service, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

from mandel import settings as settings_module
from mandel.errors import MandelError
from mandel.service.service import Service, driver_command
from mandel.settings import PayloadLimits, Settings
from mandel.terminal.format import size, typed

_log = logging.getLogger("mandel")

EXIT_BAD_SETTING = 2
EXIT_CANNOT_START = 3
EXIT_FORCED = 130

_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - to listen on, not to connect to
_LONGEST_LINE = 2_000
_EACH = 3  # descriptors of a connection
# Of all else: what is comfortable, as the driver and its Ray inherit the limit, and what the service needs itself.
_BESIDE, _LEAST_BESIDE = 1024, 100


class _OneLine(logging.Formatter):
    """Each record on one line without control characters, whatever a client or a compiler said."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        text = text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "..."
        return "".join(c if c.isprintable() else " " for c in text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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


def _allow_descriptors(settings: Settings) -> Settings:
    """Has room made for all connections; allows fewer, and says so, where the system lends too few descriptors.

    A connection takes two, and one more may be closing; the usual soft limit is 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _EACH * settings.max_connections + _BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    most = max(1, (allowed - _LEAST_BESIDE) // _EACH)
    if most >= settings.max_connections:
        return settings
    _log.warning(
        "the system lends this process %d descriptors: %d connections are served at once instead of %d. "
        "Raise the hard limit (ulimit -Hn, LimitNOFILE=) to %d for all of them",
        allowed,
        most,
        settings.max_connections,
        wanted,
    )
    return replace(settings, max_connections=most)


class _Signals:
    """SIGINT and SIGTERM from now on, none lost: the kernel's handler itself writes each into a socket.

    A handler in Python runs on the main thread only, when that wakes, and may find any lock held there;
    signals that are blocked instead would be blocked in all that this process starts. Make it on the main thread.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        wake, self._woken = socket.socketpair()
        wake.setblocking(False)
        self._wake = wake  # open as long as this object
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def wait(self) -> None:
        """Until the first one."""
        self._asked.wait()

    def _watch(self) -> None:
        count = 0
        while count < 2:
            count += sum(number in (signal.SIGINT, signal.SIGTERM) for number in self._woken.recv(64))
            if count:
                self._asked.set()
        _log.warning("stopped at once; accepted jobs are kept")
        os._exit(EXIT_FORCED)  # the driver dies with us


def room(service: Service, settings: Settings) -> str:
    """What DB/ takes and may take, in a line."""
    taken, most = service.store.usage().total, service.registry.most_bytes
    why = (
        "--max-db-bytes"
        if settings.max_db_bytes
        else (f"{settings.max_db_share:.0%} of that and what is free; --max-db-bytes sets it")
    )
    allowed = "all that its disk has" if most is None else size(most)
    return f"it takes {size(taken)} and may take {allowed} ({why}); then old videos make room for new ones"


def main(argv: list[str] | None = None, driver: Callable[[Settings], list[str]] = driver_command) -> int:
    """Runs the service.

    Args:
        driver: the command that starts the driver, from the settings.

    Returns:
        0 after SIGINT or SIGTERM, else one of the EXIT codes above.
    """
    options = _parser().parse_args(argv)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        settings = settings_module.read(options)
        settings = _allow_descriptors(settings)
        service = Service(settings, driver(settings))
    except MandelError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return EXIT_BAD_SETTING if error.code == "BAD_SETTING" else EXIT_CANNOT_START
    signals = _Signals()
    if not service.listener.is_private:
        _log.warning("%s is open to the network: whoever has the token can start jobs", service.listener.host)
    service.start()
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
    if token:
        print("clients on other machines need a copy of that token", flush=True)
        if not service.access.encrypted:
            print("the token and the videos travel in clear; --tls-cert turns TLS on", flush=True)
    signals.wait()
    _log.info("stopping: no more connections; finishing what is in hand (again to stop at once)")
    service.stop()
    _log.info("stopped; accepted jobs go on at the next start")
    return 0

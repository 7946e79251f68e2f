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

from mandel import settings as settings_module
from mandel.cli.words import size
from mandel.errors import MandelError
from mandel.server.service import Service, driver_command
from mandel.settings import Limits, Settings

_log = logging.getLogger("mandel")

EXIT_BAD_SETTING = 2
EXIT_CANNOT_START = 3
EXIT_FORCED = 130

_ALL_ADDRESSES = ("0.0.0.0", "::")  # to listen on, not to connect to
_LONGEST_LINE = 2_000


class _OneLine(logging.Formatter):
    """Each record on one line without control characters, whatever a client or a compiler said."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        text = text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "..."
        return "".join(c if c.isprintable() else " " for c in text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ray_head.py", usage="ray_head.py [options]", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="The Mandelbrot zoom service: takes payloads on a TCP port, renders them on a Ray cluster,\n"
        "stores and sends the videos.",
        epilog="Prints where it listens and stores, and what clients need, once it takes requests; its log goes\n"
        "to standard error, one line an event.\n\n"
        "exit codes: 0 stopped by a signal, 2 a bad option, 3 could not start, 130 stopped at once",
    )
    settings_module.add_options(parser, without=("tls_ca",))  # that one is for clients
    settings_module.add_options(parser.add_argument_group("limits of what may be asked"), Limits)
    return parser


def _allow_descriptors(connections: int) -> None:
    """A connection takes two descriptors; the usual soft limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * connections + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def room(service: Service, settings: Settings) -> str:
    """What DB/ takes and may take, in a line."""
    taken, most = service.store.usage().total, service.register.most_bytes
    why = "--max-db-bytes" if settings.max_db_bytes else (
        f"{settings.max_db_share:.0%} of that and what is free; --max-db-bytes sets it")
    return f"it takes {size(taken)} and may take {size(most)} ({why}); then old videos make room for new ones"


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
        _allow_descriptors(settings.max_connections)
        service = Service(settings, driver(settings))
    except MandelError as error:
        print(f"ray_head.py: {error.code}: {error.message}", file=sys.stderr)
        return EXIT_BAD_SETTING if error.code == "BAD_SETTING" else EXIT_CANNOT_START
    asked_to_stop = threading.Event()

    def stop(signum, frame) -> None:
        if asked_to_stop.is_set():
            _log.warning("stopped at once; accepted jobs are kept")
            os._exit(EXIT_FORCED)  # the driver dies with us
        asked_to_stop.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    if not service.listener.is_private:
        _log.warning("%s is open to the network: whoever has the token can start jobs", service.listener.host)
    service.start()
    host, port = service.listener.host, service.listener.port
    token = f" --token-file {service.access.token_file}" if service.access.token_file else ""
    print(f"listening on {host}:{port}\n"
          f"storing under {service.store.names.root}: {service.store.recovery}\n"
          f"{room(service, settings)}\n"
          "the renderer is starting; send a payload with: python client.py "
          f"--host {socket.gethostname() if host in _ALL_ADDRESSES else host} --port {port}{token}", flush=True)
    if token:
        print("clients on other machines need a copy of that token", flush=True)
        if not service.access.encrypted:
            print("the token and the videos travel in clear; --tls-cert turns TLS on", flush=True)
    while not asked_to_stop.wait(1.0):
        pass  # a signal that comes just before a wait begins is noticed only after it
    _log.info("stopping: no more connections; finishing what is in hand (again to stop at once)")
    service.stop()
    _log.info("stopped; accepted jobs go on at the next start")
    return 0

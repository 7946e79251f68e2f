"""``python -m mandel zoom``: a payload to an mp4 in one command, without a running service.

Starts the service on a free port, sends the payload as any client would, and
ends the service again. Everything rendered stays in DB/.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from mandel import settings
from mandel.cli import client

_ROOT = Path(__file__).resolve().parent.parent.parent
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0


def _end_with_parent() -> None:
    """However this program ends, even killed: the service then stops as by SIGTERM."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_listening(head: subprocess.Popen, port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and head.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _stop(head: subprocess.Popen) -> None:
    if head.poll() is None:
        head.send_signal(signal.SIGTERM)
    try:
        head.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()


def main(argv: list[str] | None = None) -> int:
    """Renders one payload; the client's exit code, or 1 when the service does not start."""
    parser = argparse.ArgumentParser(prog="python -m mandel zoom", description=__doc__.split("\n\n")[0])
    parser.add_argument("payload", nargs="?", default="payload.json", help="payload file (default payload.json)")
    parser.add_argument("-o", "--output", default="zoom.mp4", help="where the video goes (default zoom.mp4)")
    settings.add_options(parser, only=("db", "address", "device"))
    options = parser.parse_args(argv)
    port = _free_port()
    command = [sys.executable, "-m", "mandel", "head", "--host", "127.0.0.1", "--port", str(port)]
    for name in ("db", "address", "device"):
        if (value := getattr(options, name)) is not None:
            command += [f"--{name}", value]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    Path(options.output).parent.mkdir(parents=True, exist_ok=True)
    # A session of its own: Ctrl-C is for the client; the service is ended below.
    head = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_end_with_parent)
    try:
        if not _wait_until_listening(head, port):
            print("The service did not start; what it said stands above.", file=sys.stderr)
            return 1
        return client.main([options.payload, "-o", options.output, "--host", "127.0.0.1", "--port", str(port)])
    finally:
        _stop(head)

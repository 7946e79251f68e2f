"""Renders a payload to a film in one command, without a running service.

It starts the service on a free port, sends the payload as any client would, and
ends the service again. All that was rendered stays in DB/. If no Ray cluster runs
here, it renders in processes of its own, which are there much sooner than Ray;
--address names a cluster, or starts Ray (local).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from mandel import settings
from mandel.client import main as client
from mandel.client import payload_file
from mandel.driver.executors.ray_cluster import EMBEDDED, find_cluster
from mandel.errors import MandelError, RequestError
from mandel.terminal.arguments import Parser, joined
from mandel.terminal.atomic_file import check_writable
from mandel.terminal.format import duration, size, typed

_ROOT = Path(__file__).resolve().parent.parent.parent
_HEAD = (sys.executable, "-m", "mandel", "head")
_PASSED_ON = (
    "db",
    "address",
    "device",
    "max_db_bytes",
    "max_db_share",
)  # options that are passed on to the service
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0

_EPILOG = """\
Prints one line when the video is in place: its name, size and seconds. The
job's id, progress, warnings and errors go to standard error; if the job fails,
what the service said too. Exit codes are those of the client (see its --help).
"""

_SHOWN_OUTPUT = 16_384  # the last bytes of the service's output, shown when something fails

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0


def _end_with_parent() -> None:
    """Runs in the child: asks the kernel to send it SIGTERM when this program ends, even if it is killed."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _printed(output: BinaryIO) -> str:
    """The end of the service's output so far."""
    length = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), _SHOWN_OUTPUT, max(0, length - _SHOWN_OUTPUT)).decode(errors="replace")


def _wait_until_listening(head: subprocess.Popen[bytes], output: BinaryIO) -> bool:
    """Waits until the service prints that it listens; False if it ends or takes too long.

    An open port is not enough: the service opens it before it has looked at DB/.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and head.poll() is None:
        if "listening on" in _printed(output):
            return True
        time.sleep(0.1)
    return False


def _stop(head: subprocess.Popen[bytes]) -> None:
    # A second Ctrl-C is ignored, because the service is ending already.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        if head.poll() is None:
            head.send_signal(signal.SIGTERM)
        head.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _for_client(options: argparse.Namespace) -> list[str]:
    """The client's arguments for the same zoom, without those that name the service."""
    words = [*filter(None, [options.payload])]
    words += ["-o", str(options.output)] if options.output else []
    words += ["--frames", str(options.frames)] if options.frames else []
    words += ["--preview", str(options.preview)] if options.preview is not None else []
    words += payload_file.field_words(options) + ["--quiet"] * options.quiet
    return words + ["--estimate"] * options.estimate


def _not_started(
    head: subprocess.Popen[bytes], output: BinaryIO, options: argparse.Namespace, db: Path
) -> int:
    """Prints why the service does not run; returns the exit code."""
    text = _printed(output)
    if "DB_LOCKED" in text:
        send = f"{typed('client')} {shlex.join(_for_client(options))}"
        print(
            f"DB_LOCKED: a service runs with {db}; let it do the work, `{send}` (its --port, if that is "
            "not 65432), or choose another folder with --db",
            file=sys.stderr,
        )
        return client.UNREACHABLE
    print(f"{text}\nThe service did not start; what it said stands above.", file=sys.stderr)
    return head.returncode or 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=typed("zoom"),
        description=__doc__,
        epilog=_EPILOG,
        allow_abbrev=False,
        usage=f"{typed('zoom')} [PAYLOAD] [-o OUT] [options] [fields of the payload]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "payload",
        nargs="?",
        metavar="PAYLOAD",
        help="JSON file, or a place of another program (default payload.json, else the service's defaults); "
        "- reads stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="file for the film; named and kept as the client's (see its --help)",
    )
    parser.add_argument("--again", metavar="FILE", help="make a film again, as of the client")
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="FOLDER",
        help="all frames as PNG files in a new folder, as of the client",
    )
    parser.add_argument(
        "--preview", type=int, metavar="N", help="N small frames on one sheet, as of the client"
    )
    parser.add_argument(
        "--estimate",
        action="store_true",
        help="say what time, CPU time and bytes it would take, as of the client",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but the result and errors")
    settings.add_options(parser, only=_PASSED_ON)
    payload_file.add_field_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Renders one payload. Returns the client's exit code, or the service's if that does not start."""
    options = _parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    try:
        if options.again is not None:
            if options.payload:
                raise RequestError(
                    "BAD_OPTION", f"{options.payload}: --again takes the payload of {options.again}"
                )
            options.payload = options.again
        if options.payload != "-":
            payload_file.payload(options)  # what is wrong with it is said before anything is started
        check_writable(options.output or Path(f"{options.frames or 'zoom'}.mov"))
        chosen = settings.read(options)
        db = Path(chosen.db).resolve()
        # The service would wait for a cluster at a named address; this command renders at once or not at all.
        if find_cluster(chosen.address) is None and chosen.address == "auto":
            options.address = EMBEDDED
    except MandelError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return client.REFUSED
    with tempfile.TemporaryFile() as output:
        return _zoom(options, db, output)


def _zoom(options: argparse.Namespace, db: Path, output: BinaryIO) -> int:
    began = time.monotonic()

    def finished(video: Path) -> None:
        seconds = time.monotonic() - began
        took = f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
        shown = f"{size(video.stat().st_size)}, " if video.is_file() else ""
        print(f"{video}  {shown}{took}")

    where = ["--host", "127.0.0.1", "--port", str(_free_port())]
    command = [*_HEAD, *where]
    for name in _PASSED_ON:
        if (value := getattr(options, name)) is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    # The service gets a session of its own, so that Ctrl-C reaches only the client. ``_stop`` ends it.
    head = subprocess.Popen(
        command,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call
    )
    try:
        if not _wait_until_listening(head, output):
            return _not_started(head, output, options, db)
        words = [*_for_client(options), *where]
        kept = f"what was rendered is kept in {db}; the same command goes on from there"
        code = client.main(words, kept, finished)
    except KeyboardInterrupt:
        print("\ninterrupted before a job was accepted", file=sys.stderr)
        return client.INTERRUPTED
    finally:
        _stop(head)
    if code in (client.FAILED, client.UNREACHABLE, client.DAMAGED):
        print(f"\nWhat the service said:\n{_printed(output)}", file=sys.stderr)
    return code

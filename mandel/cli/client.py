"""Sends a payload to the service and brings back the video.

The standard library is all it needs, so that it runs on machines that have
neither Ray nor OpenCL.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mandel import settings
from mandel.cli import asked
from mandel.cli.arguments import joined
from mandel.cli.conversation import converse, trust
from mandel.cli.place import Placed, check_writable
from mandel.cli.progress_line import ProgressLine
from mandel.cli.report import report
from mandel.cli.words import plain
from mandel.errors import MandelError, RequestError, TransferError
from mandel.protocol import codes, operation, reply, strict_json
from mandel.protocol.reply_reader import JsonPart, ReplyEnd, VideoData, VideoHead

OK, REFUSED, UNREACHABLE, FAILED, DAMAGED, INTERRUPTED, UNREAD = 0, 2, 3, 4, 5, 130, 141

_USAGE = """client.py [PAYLOAD] [-o OUT] [options] [fields of the payload]
       client.py --status [JOB] | --list | --attach JOB | --cancel JOB | ... (--help lists all)"""
_EPILOG = """\
Without PAYLOAD, payload.json of the present folder is sent; without that, the
service's defaults. If options then take the zoom below 1e-8 and --maxiter is
not among them, the maxiter of payload.json is left out and the service finds
one ("auto"); a file that is named is sent as it is. The video is checked
against its length and SHA-256 and then put in place in one step: the file is
absent or complete. It is named after the payload file (zoom.json: zoom.mp4) or
else after the job. The first digits of a job's id, four or more, are enough if
no other job begins with them.

standard output:
  a video             its file's name, once it is in place
  --status            facts, one a line
  --list              a table: the 1,000 jobs last asked for, newest first
  --cancel, --pin, .. one line: what the job is now, and its id
  with --json         of a video {"job", "video", "bytes", "sha256"}, video being
                      its file's name; else the service's answer as it came, its
                      fields are listed in docs/protocol.md: one object
standard error:
  the job's id, progress and warnings, none of them with --quiet; errors, as
  CODE: what was wrong and what to do

exit codes:
  0    done
  2    wrong usage, or the service refused the request (the message says why)
  3    no service there, or it takes no requests now: try again later
  4    the job was accepted and failed, or was cancelled
  5    the reply was cut off or damaged, or the video could not be stored
  130  interrupted; the job goes on, --attach gets its video
  141  nobody reads what it prints

examples:
  client.py
  client.py zoom.json --num-frames 200 --palette ember -o zoom.mp4
  client.py --point -0.75,0.1 --end-delta 1e-2 --maxiter 20000
  client.py payloads/deep-300.json --num-frames 600
  client.py --attach 3b1f0c -o zoom.mp4
  client.py --sampling shared --keep-strips true     (once; prints the job)
  client.py --recolour 3b1f0c --palette ember --fps 60 --num-frames 150 -o ember.mp4
"""

_CHANGES = {
    "cancel": "end a job; what it has finished is kept",
    "pause": "let a job rest until --resume",
    "resume": "go on with a paused job",
    "retry": "try a failed or cancelled job again",
    "pin": "never evict a job to make room",
    "unpin": "let a pinned job be evicted again",
}
_JOB = re.compile(r"[0-9a-f]{64}")
_BEGINNING = re.compile(r"[0-9a-f]{4,63}")
_CONNECT_SECONDS = 10.0
_SERVICE = object()  # whose status is asked for, when it is no job's


class _ServiceError(MandelError):
    """An error part that the service sent."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="client.py", description="Renders a Mandelbrot zoom by the service; the result is an mp4.",
        usage=_USAGE, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    parser.add_argument("payload", nargs="?", metavar="PAYLOAD", help="JSON file to send; - reads from stdin")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="file for the video, may exist")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but the result and errors")
    parser.add_argument("--json", action="store_true", help="print one JSON object (see below)")
    parser.add_argument(
        "--priority", metavar="N", help="-9 to 9: of your jobs those of a higher one are rendered first (default 0)"
    )
    parser.add_argument(
        "--client", metavar="NAME",
        help="for whom a job is rendered: the service serves its clients evenly (default your user name)",
    )
    settings.add_options(parser, only=("host", "port", "token_file", "tls_ca"))
    what = parser.add_argument_group("instead of rendering").add_mutually_exclusive_group()
    what.add_argument("--status", nargs="?", const=_SERVICE, metavar="JOB", help="the service's state, or a job's")
    what.add_argument("--list", action="store_true", help="all jobs")
    for op, help in _CHANGES.items():
        what.add_argument("--" + op, metavar="JOB", help=help)
    what.add_argument("--attach", metavar="JOB", help="follow a job and get its video")
    what.add_argument(
        "--recolour", metavar="JOB",
        help="make a zoom again from the strips it kept (--keep-strips true); of the fields below it takes "
        + ", ".join("--" + name.replace("_", "-") for name in operation.LOOKS),
    )
    asked.add_field_options(parser)
    return parser


def _request(args: argparse.Namespace) -> tuple[str, dict, list[str]]:
    """The operation's name, the JSON object to send, and what to tell the person first."""
    simple = ("list", "status", "attach", *_CHANGES)
    if op := next((name for name in simple if getattr(args, name) not in (None, False)), None):
        if args.payload or asked.changes(args):
            raise RequestError("BAD_OPTION", f"--{op} takes no payload and no fields of one; leave them out")
        job = getattr(args, op)
        return op, {"op": op} | ({} if op == "list" or job is _SERVICE else {"job": job}), []
    beside = {operation.CLIENT: _user() if args.client is None else args.client}
    if args.priority is not None:
        beside[operation.PRIORITY] = asked.number(args.priority)
    if args.recolour is not None:
        if args.payload:
            raise RequestError("BAD_OPTION", f"{args.payload}: --recolour takes the job's own payload, and options")
        return operation.RECOLOUR, {"op": operation.RECOLOUR, "job": args.recolour} | asked.changes(args) | beside, []
    payload, told = asked.payload(args)
    return operation.RENDER, payload | beside, told


def _user() -> str:
    """The login name, as far as it is known and fit to be sent."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
    return name if name.isprintable() and len(name) <= operation.LONGEST_CLIENT else ""


def _output(args: argparse.Namespace, job: str | None) -> Path:
    """Where the video goes. Nothing that the service sends but a checked job id is part of it."""
    if args.output is not None:
        return args.output
    if args.attach is None and args.recolour is None and args.payload != "-":
        if args.payload:
            return Path(Path(args.payload).stem + ".mp4")
        if asked.DEFAULT_PAYLOAD.exists():
            return asked.DEFAULT_PAYLOAD.with_suffix(".mp4")
    return Path(f"{(job or 'zoom')[:12]}.mp4")


def _token(file: str) -> dict:
    try:
        return {"token": Path(file).expanduser().read_text().strip()}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise RequestError("BAD_FILE", f"--token-file {file}: {why}; name a copy of the service's token file") from None


class _Session:
    """One request, one reply, and what came of it.

    Args:
        args: the parsed options.
        service: where the service listens, and what it wants to see.
        finished: called with the video's path when it is in place.
    """

    def __init__(
        self, args: argparse.Namespace, service: settings.Settings, finished: Callable[[Path], None]
    ):
        self._finished = finished
        self._args, self._host, self._port = args, service.host, service.port
        self._tls = trust(service.tls_ca) if service.tls_ca else None
        self._token = _token(service.token_file) if service.token_file else {}
        self.job: str | None = None
        self._line = ProgressLine(sys.stderr, args.quiet)
        self._placed: Placed | None = None
        self._video = VideoHead(0, "")
        self._arrived = 0
        self._result: dict = {}
        self._streams = False

    def run(self) -> None:
        """Sends the request and tells of the file, or prints the result.

        Raises:
            MandelError: RequestError, TransferError or _ServiceError.
        """
        op, message, told = _request(self._args)
        self._streams = operation.TABLE[op].streams
        if self._streams:
            check_writable(_output(self._args, None))
        if told and not self._args.quiet:
            print(*told, sep="\n", file=sys.stderr)
        if "job" in message:
            message["job"] = self._whole_id(message["job"])
        try:
            for event in self._converse(message):
                self._take(event)
        finally:
            self._line.close()
            if self._placed is not None:
                self._placed.discard()
        if self._placed is not None and self._args.json:
            facts = {"job": self.job, "video": str(self._placed.path), "bytes": self._arrived}
            print(json.dumps(facts | {"sha256": self._video.sha256}))
        elif self._placed is not None:
            self._finished(self._placed.path)
        else:
            print(json.dumps(self._result, indent=2) if self._args.json else report(op, self._result))

    def _converse(self, message: dict):
        request = strict_json.dumps(message | self._token)
        return converse(self._host, self._port, request, _CONNECT_SECONDS, self._tls)

    def _whole_id(self, job: str) -> str:
        """The one listed job that begins with ``job``; else ``job`` as it is, for the service to judge."""
        if not _BEGINNING.fullmatch(job):
            return job
        parts = [event.fields for event in self._converse({"op": "list"}) if isinstance(event, JsonPart)]
        rows = parts[-1].get("jobs") if parts else None
        rows = rows if isinstance(rows, list) else []
        ids = {row["job"] for row in rows if isinstance(row, dict) and isinstance(row.get("job"), str)}
        matching = [known for known in ids if known.startswith(job) and _JOB.fullmatch(known)]
        return matching[0] if len(matching) == 1 else job

    def _take(self, event) -> None:
        match event:
            case JsonPart(reply.PROGRESS, said):
                if isinstance(said.get("job"), str) and _JOB.fullmatch(said["job"]):
                    if self.job is None and not self._args.quiet:
                        print(f"job {said['job']}", file=sys.stderr)
                    self.job = said["job"]
                self._line.show(said)
            case JsonPart(reply.ERROR, said):
                error = MandelError.from_dict(said)
                raise _ServiceError(error.code, error.message, field=error.field, limit=error.limit)
            case JsonPart(_, said) if not self._streams:
                self._result = said
            case VideoHead() if self._streams:
                self._video = event
                self._placed = Placed(_output(self._args, self.job), event.size)
            case VideoData(data):
                self._placed.write(data)
                self._arrived += len(data)
                self._line.received(self._arrived, self._video.size)
            case ReplyEnd():
                if self._placed is not None:
                    self._placed.commit()
            case _:
                raise TransferError("BAD_REPLY", "the reply is to another kind of request")

    def how_to_attach(self) -> str:
        """The command that follows the job again."""
        words = ["python client.py --attach", self.job or "JOB", "-o", str(_output(self._args, self.job))]
        return " ".join(words + [f"--host {self._host} --port {self._port}"])


def _exit_code(error: MandelError) -> int:
    if isinstance(error, _ServiceError):
        if error.code in codes.REFUSED:
            return REFUSED
        return UNREACHABLE if error.code in codes.UNAVAILABLE else FAILED
    if isinstance(error, TransferError) and error.code != "BAD_OUTPUT":
        return UNREACHABLE if error.code in ("UNREACHABLE", "NO_TLS") else DAMAGED
    return REFUSED


def main(argv: list[str], goes_on: str = "", finished: Callable[[Path], None] = print) -> int:
    """Runs the client; returns its exit code (see --help).

    Args:
        goes_on: what to say of a job that is left; nothing: how to attach to it again.
        finished: called with the video's path when it is in place.
    """
    try:
        code = _run(argv, goes_on, finished)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whatever is still in the buffers would raise again at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return UNREAD


def _run(argv: list[str], goes_on: str, finished: Callable[[Path], None]) -> int:
    args = _parser().parse_args(joined(argv))
    session = None
    try:
        service = settings.read(args)
        session = _Session(args, service, finished)
        session.run()
        return OK
    except KeyboardInterrupt:
        if session is not None and session.job:
            said = goes_on or f"the job goes on. Its video:\n  {session.how_to_attach()}"
            print(f"\ninterrupted; {said}", file=sys.stderr)
        else:
            print("\ninterrupted before a job was accepted", file=sys.stderr)
        return INTERRUPTED
    except MandelError as error:
        print(f"{plain(error.code, 40)}: {plain(error.message, 2_000)}", file=sys.stderr)
        code = _exit_code(error)
        if error.code == "UNREACHABLE" and not goes_on:
            port = "" if service.port == settings.Settings.port else f" --port {service.port}"
            print(f"Start the service: python ray_head.py{port}", file=sys.stderr)
        if error.code == "CONNECTION_LOST" and not service.tls_ca and not session.job:
            print("If the service speaks TLS, name the certificate to trust: --tls-ca FILE", file=sys.stderr)
        if code in (UNREACHABLE, DAMAGED) and session is not None and session.job:
            said = goes_on or f"The job goes on. Its video:\n  {session.how_to_attach()}"
            print(said, file=sys.stderr)
        return code

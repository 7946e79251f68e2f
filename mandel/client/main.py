"""Sends a payload to the service and brings back the video.

The standard library is all it needs, so that it runs on machines that have
neither Ray nor OpenCL.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mandel import secret, settings
from mandel.client import command_line, payload_file
from mandel.client.conversation import converse, trust
from mandel.client.progress_line import ProgressLine
from mandel.client.report import report
from mandel.errors import MandelError, RequestError, TransferError
from mandel.payload.fields import JsonObject
from mandel.payload.job_id import is_job_id
from mandel.protocol import codes, operation, reply, strict_json
from mandel.protocol.reply_reader import JsonPart, ReplyEnd, ReplyEvent, VideoData, VideoHead
from mandel.terminal import note_text
from mandel.terminal.arguments import joined
from mandel.terminal.atomic_file import AtomicFile, check_writable
from mandel.terminal.format import printable, typed

OK, REFUSED, UNREACHABLE, FAILED, DAMAGED, INTERRUPTED, UNREAD = 0, 2, 3, 4, 5, 130, 141

_CONNECT_SECONDS = 10.0


class _ServiceError(MandelError):
    """An error part that the service sent."""


def _output(args: argparse.Namespace, job: str | None) -> Path:
    """Where the video goes. Nothing that the service sends but a checked job id is part of it."""
    if args.output is not None:
        return Path(args.output)
    if args.attach is None and args.recolour is None and args.payload != "-":
        if args.payload:
            return Path(Path(args.payload).stem + ".mp4")
        if payload_file.DEFAULT_PAYLOAD.exists():
            return payload_file.DEFAULT_PAYLOAD.with_suffix(".mp4")
    return Path(f"{(job or 'zoom')[:12]}.mp4")


def _token(file: str) -> JsonObject:
    try:
        token, word = secret.read(Path(file).expanduser())
    except (OSError, MandelError) as error:
        why = error.message if isinstance(error, MandelError) else error.strerror
        raise RequestError(
            "BAD_FILE", f"--token-file {file}: {why}; name a copy of the service's token file"
        ) from None
    if word:
        print(word, file=sys.stderr)
    return {"token": token}


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
        self._placed: AtomicFile | None = None
        self._video = VideoHead(0, "")
        self._arrived = 0
        self._result: JsonObject = {}
        self._last: JsonObject = {}  # what was said of the job at last
        self._streams = False

    def run(self) -> None:
        """Sends the request and tells of the file, or prints the result.

        Raises:
            MandelError: RequestError, TransferError or _ServiceError.
        """
        op, message, told = command_line.request(self._args)
        self._streams = operation.TABLE[op].streams
        if self._streams:
            check_writable(_output(self._args, None))
        if told and not self._args.quiet:
            print(*told, sep="\n", file=sys.stderr)
        try:
            for event in self._converse(message):
                self._take(event)
        finally:
            self._line.close()
            if self._placed is not None:
                self._placed.discard()
        known = self._last.get("notes")
        if self._placed is not None and not self._args.quiet:
            for sentence in note_text.sentences(known, self._last.get("frames")):
                print(sentence, file=sys.stderr)
        if self._placed is not None and self._args.json:
            facts = {"job": self.job, "video": str(self._placed.path), "bytes": self._arrived}
            print(json.dumps(facts | {"sha256": self._video.sha256, **({"notes": known} if known else {})}))
        elif self._placed is not None:
            self._finished(self._placed.path)
        else:
            print(json.dumps(self._result, indent=2) if self._args.json else report(op, self._result))

    def _converse(self, message: JsonObject) -> Iterator[ReplyEvent]:
        request = strict_json.dumps(message | self._token)
        return converse(self._host, self._port, request, _CONNECT_SECONDS, self._tls)

    def _take(self, event: ReplyEvent) -> None:
        match event:
            case JsonPart(reply.PROGRESS, said):
                if is_job_id(said.get("job")):
                    if self.job is None and not self._args.quiet:
                        print(f"job {said['job']}", file=sys.stderr)
                    self.job = said["job"]
                self._last = said
                self._line.show(said)
            case JsonPart(reply.ERROR, said):
                error = MandelError.from_dict(said)
                raise _ServiceError(error.code, error.message, field=error.field, limit=error.limit)
            case JsonPart(_, said) if not self._streams:
                self._result = said
            case VideoHead() if self._streams:
                self._video = event
                self._placed = AtomicFile(_output(self._args, self.job), event.size)
            case VideoData(data) if self._placed is not None:
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
        words = [typed("client"), "--attach", self.job or "JOB", "-o", str(_output(self._args, self.job))]
        return " ".join([*words, f"--host {self._host} --port {self._port}"])


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
    args = command_line.parser().parse_args(joined(argv))
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
        print(f"{printable(error.code, 40)}: {printable(error.message, 2_000)}", file=sys.stderr)
        code = _exit_code(error)
        if error.code == "UNREACHABLE" and not goes_on:
            port = "" if service.port == settings.Settings.port else f" --port {service.port}"
            print(f"Start the service: {typed('head')}{port}", file=sys.stderr)
        if error.code == "CONNECTION_LOST" and not service.tls_ca and not (session and session.job):
            print("If the service speaks TLS, name the certificate to trust: --tls-ca FILE", file=sys.stderr)
        if code in (UNREACHABLE, DAMAGED) and session is not None and session.job:
            said = goes_on or f"The job goes on. Its video:\n  {session.how_to_attach()}"
            print(said, file=sys.stderr)
        return code

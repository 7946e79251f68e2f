"""Sends a payload to the service and receives the video.

It needs only the standard library, so it runs on machines that have neither Ray
nor OpenCL.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mandel import secret, settings
from mandel.client import command_line, frames, payload_file, place_file
from mandel.client.conversation import converse, trust
from mandel.client.progress_line import ProgressLine
from mandel.client.report import report
from mandel.colour import looks
from mandel.errors import MandelError, RequestError, TransferError
from mandel.payload import in_file
from mandel.payload.fields import JsonObject, without_look
from mandel.payload.job_id import is_job_id
from mandel.protocol import codes, operation, reply, strict_json
from mandel.protocol.reply_reader import JsonPart, ReplyEnd, ReplyEvent, VideoData, VideoHead
from mandel.terminal import note_text
from mandel.terminal.arguments import joined
from mandel.terminal.atomic_file import AtomicFile, check_writable, put_aside
from mandel.terminal.format import printable, typed
from mandel.video import coding

OK, REFUSED, UNREACHABLE, FAILED, DAMAGED, INTERRUPTED, UNREAD = 0, 2, 3, 4, 5, 130, 141

_CONNECT_SECONDS = 10.0
_HERE = ("127.0.0.1", "localhost", "::1")


class _ServiceError(MandelError):
    """An error that the service sent as a part of its reply."""


def _output(args: argparse.Namespace, job: str | None, container: str | None = None) -> Path:
    """The path for the video. Of all that the service sends, only job id and container are used, after a check."""
    if container is None:
        asked = vars(args).get("asked", {})
        container = coding.container(asked.get("codec"), asked.get("container"))
    if args.output is not None:
        return Path(args.output)
    if args.preview is not None:
        return payload_file.named_after(payload_file.source(args), "-preview.png")
    if args.frames is not None:
        return Path(f"{args.frames}.{container}")
    if args.attach is not None or args.recolour is not None:
        return Path(f"{(job or 'job')[:12]}.{container}")
    return payload_file.named_after(payload_file.source(args), f".{container}")


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
    """One request and its reply.

    Args:
        args: the parsed options.
        service: address, port, token and certificate of the service.
        finished: called with the video's path when the file is complete.
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
        self._last: JsonObject = {}  # fields of the last progress part
        self._streams = False

    def run(self) -> None:
        """Sends the request, then stores the video or prints the result.

        Raises:
            MandelError: RequestError, TransferError or _ServiceError.
        """
        op, message, hints = command_line.request(self._args)
        self._streams = operation.TABLE[op].streams
        if self._streams:
            check_writable(_output(self._args, None))
        if self._args.frames is not None:
            frames.check_folder(self._args.frames)
        if hints and not self._args.quiet:
            print(*hints, sep="\n", file=sys.stderr)
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
            if self._args.frames is not None:
                facts["frames"] = str(self._args.frames)
            print(json.dumps(facts | {"sha256": self._video.sha256, **({"notes": known} if known else {})}))
        elif self._placed is not None:
            kept_film = self._args.frames is None or self._args.output is not None
            self._finished(self._placed.path if kept_film else self._args.frames)
        else:
            print(json.dumps(self._result, indent=2) if self._args.json else report(op, self._result))

    def _converse(self, message: JsonObject) -> Iterator[ReplyEvent]:
        request = strict_json.dumps(message | self._token)
        return converse(self._host, self._port, request, _CONNECT_SECONDS, self._tls)

    def _take(self, event: ReplyEvent) -> None:
        match event:
            case JsonPart(reply.PROGRESS, fields):
                if is_job_id(fields.get("job")):
                    if self.job is None and not self._args.quiet:
                        print(f"job {fields['job']}", file=sys.stderr)
                    self.job = fields["job"]
                self._last = fields
                self._line.show(fields)
            case JsonPart(reply.ERROR, fields):
                error = MandelError.from_dict(fields)
                raise _ServiceError(error.code, error.message, field=error.field, limit=error.limit)
            case JsonPart(_, fields) if not self._streams:
                self._result = fields
            case VideoHead() if self._streams:
                self._begin(event)
            case VideoData(data) if self._placed is not None:
                self._placed.write(data)
                self._arrived += len(data)
                self._line.received(self._arrived, self._video.size)
            case ReplyEnd():
                if self._placed is not None:
                    self._put_in_place(self._placed)
            case _:
                raise TransferError("BAD_REPLY", "the reply is to another kind of request")

    def _begin(self, event: VideoHead) -> None:
        """Opens the film's file."""
        self._video = event
        output = _output(self._args, self.job, event.container)
        if self._args.preview is not None:
            output = output.with_name(f".{output.name}.{event.container}")
        # Of what a payload asks for that was said before.
        unknown = "asked" not in vars(self._args) and not self._args.quiet
        if unknown and output.suffix.lower() != f".{event.container}":
            print(f"note: {output} is a film in {event.container}, whatever its name", file=sys.stderr)
        self._placed = AtomicFile(output, event.size)

    def _put_in_place(self, film: AtomicFile) -> None:
        """Gives the film its name, and makes of it what was asked for."""
        self._keep_other(film.path)
        film.commit()
        if self._args.preview is not None:
            self._make_sheet(film.path)
        if self._args.frames is not None:
            self._cut_out(film.path)

    def _cut_out(self, film: Path) -> None:
        """Writes the frames; the film itself stays only if it was asked for."""
        count, wanted = frames.write(film, self._args.frames), self._last.get("frames")
        if count != wanted:
            raise TransferError("STORE_FAILED", f"{film} has {count} frames that are PNG files, not {wanted}")
        if self._args.output is None:
            film.unlink()

    def _make_sheet(self, film: Path) -> None:
        """Puts the film's frames on one sheet, which carries the payload of the whole zoom, and removes the film."""
        made, _ = place_file.content(str(film))  # has all fields of its look, those that nobody gave as well
        carried = without_look(self._args.asked) | {name: made[name] for name in looks.FIELDS}
        data = frames.sheet(film, in_file.MARK + strict_json.dumps(carried).decode())
        film.unlink()
        self._placed = sheet = AtomicFile(_output(self._args, self.job), len(data))
        self._arrived, self._video = len(data), VideoHead(len(data), hashlib.sha256(data).hexdigest())
        sheet.write(data)
        self._keep_other(sheet.path)
        sheet.commit()

    def _keep_other(self, path: Path) -> None:
        """Gives another name to a file that would be replaced by another film."""
        kept = put_aside(path, self._video.sha256)
        if kept is not None and not self._args.quiet:
            print(f"note: another {path} was there; it is {kept} now", file=sys.stderr)

    def how_to_attach(self) -> str:
        """The command line that follows the job again."""
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
        goes_on: message after an interruption, for a job that goes on; "": say how to attach to it again.
        finished: called with the video's path when the file is complete.
    """
    try:
        code = _run(argv, goes_on, finished)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Text that is still in the buffers would raise the same error again at exit.
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
            advice = goes_on or f"the job goes on. Its video:\n  {session.how_to_attach()}"
            print(f"\ninterrupted; {advice}", file=sys.stderr)
        else:
            print("\ninterrupted before a job was accepted", file=sys.stderr)
        return INTERRUPTED
    except MandelError as error:
        print(f"{printable(error.code, 40)}: {printable(error.message, 2_000)}", file=sys.stderr)
        code = _exit_code(error)
        if error.code == "UNREACHABLE" and not goes_on:
            port = "" if service.port == settings.Settings.port else f" --port {service.port}"
            if service.host in _HERE:
                print(f"Start the service: {typed('head')}{port}", file=sys.stderr)
            else:
                print(
                    f"Check --host and --port. Others reach a service that was started there with: {typed('head')} "
                    f"--host 0.0.0.0{port}",
                    file=sys.stderr,
                )
        if error.code == "CONNECTION_LOST" and not service.tls_ca and not (session and session.job):
            print("If the service speaks TLS, name the certificate to trust: --tls-ca FILE", file=sys.stderr)
        if code in (UNREACHABLE, DAMAGED) and session is not None and session.job:
            print(goes_on or f"The job goes on. Its video:\n  {session.how_to_attach()}", file=sys.stderr)
        return code

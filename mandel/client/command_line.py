"""The client's command line: what it takes, what it says in --help, and the request that it stands for."""

from __future__ import annotations

import argparse
import getpass
import re
from pathlib import Path

from mandel import settings
from mandel.client import payload_file
from mandel.errors import RequestError
from mandel.payload.fields import RECOLOURED, JsonObject
from mandel.protocol import operation
from mandel.terminal.arguments import Parser
from mandel.terminal.format import typed
from mandel.video import coding

_USAGE = """%(prog)s [PAYLOAD] [-o OUT] [options] [fields of the payload]
       %(prog)s --status [JOB] | --list | --attach JOB | --cancel JOB | ... (--help lists all)"""
_EPILOG = """\
Without PAYLOAD, payload.json of the present folder is sent; without that, the
service's defaults. If options name another point or delta than the file and
no --maxiter, the file's maxiter is left out and the service finds one
("auto"). The video is checked against its length and SHA-256 and then put in
place in one step: the file is absent or complete. The first digits of a job's
id, four or more, are enough if no other job begins with them.

Without -o a film is named after its file and put into the present folder:
deep.json makes deep.mp4, payload.json makes payload.mp4; --preview makes
deep-preview.png; film.mp4, as a payload, makes film-again.mp4; options alone and
stdin, zoom.mp4; --attach and --recolour are named by the job's first digits. In
place of mp4 it is mov or mkv where the codec wants that. An OUT that ends in
.mov or .mkv also names the container. What has the name already is kept under
another one (deep.1.mp4), unless it is the same film.

PAYLOAD may be a place of another program: KFR of Kalles Fraktaler, TOML of
Fraktaler 3 and rust-fractal, INI of DeepDrill, PAR of Fractint, UPR of Ultra
Fractal, XPF of XaoS. The zoom then ends there; what was taken of the file and
what was ignored is said. FILE#NAME takes one entry of a file that has several.
--palette takes the colours of any of these, and of GGR, GPL, UGR, MAP and KFP.

standard output:
  a video             its file's name, once it is in place; or the folder's name
  --status            facts, one a line
  --list              a table: the 1,000 jobs last asked for, newest first, with
                      what film and kept strips take on the service's disk
  --cancel, --pin, .. one line: what the job is now, and its id; or that it leaves
                      nothing to cancel, pause, resume or retry
  --estimate          facts, one a line: time on this service, CPU time, bytes
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
  %(prog)s
  %(prog)s zoom.json --num-frames 200 --palette ember -o zoom.mp4
  %(prog)s --point -0.75,0.1 --end-delta 1e-2 --maxiter 20000
  %(prog)s payloads/deep-300.json --num-frames 600
  %(prog)s zoom.json --preview 12 -o sheet.png
  %(prog)s zoom.json --estimate
  %(prog)s --attach 3b1f0c -o zoom.mp4
  %(prog)s --again zoom.mp4 --codec hevc --quality best -o best.mp4
  %(prog)s --sampling shared --keep-strips true     (once; prints the job)
  %(prog)s --recolour 3b1f0c --palette ember --fps 60 --num-frames 150 -o ember.mp4
"""

_JOB = re.compile("[0-9a-f]{4,64}")
_SERVICE = object()  # whose status is asked for, when it is no job's


def parser() -> argparse.ArgumentParser:
    """Reads what ``request`` understands; its mistakes end the program with 2."""
    p = Parser(
        prog=typed("client"),
        description="Renders a Mandelbrot zoom by the service; the result is a film: mp4, mov or mkv.",
        usage=_USAGE,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument(
        "payload",
        nargs="?",
        metavar="PAYLOAD",
        help="JSON file to send; a place of another program (see below); or a film, poster or still that carries its "
        "payload; - reads from stdin",
    )
    p.add_argument("--again", metavar="FILE", help="make a film again, with the fields below changed")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="file for the film (default: see below)")
    p.add_argument(
        "--frames",
        type=Path,
        metavar="FOLDER",
        help="all frames as PNG files, exactly as they were rendered (--bits 10: of 16 bits), in a new folder; "
        "with -o also as a film of codec png",
    )
    p.add_argument(
        "--preview",
        type=int,
        metavar="N",
        help="N small frames along the zoom on one sheet, in place of the film: soon there, and as the film will look",
    )
    p.add_argument(
        "--estimate",
        action="store_true",
        help="say what time, CPU time and bytes it would take; nothing is rendered",
    )
    p.add_argument("-q", "--quiet", action="store_true", help="say nothing but the result and errors")
    p.add_argument("--json", action="store_true", help="print one JSON object (see below)")
    p.add_argument(
        "--priority",
        metavar="N",
        help="-9 to 9: of your jobs those of a higher one are rendered first (default 0)",
    )
    p.add_argument(
        "--client",
        metavar="NAME",
        help="for whom a job is rendered: the service serves its clients evenly (default your user name)",
    )
    p.add_argument("--name", metavar="NAME", help="what --list calls the job")
    settings.add_options(p, only=("host", "port", "token_file", "tls_ca"))
    what = p.add_argument_group("instead of rendering").add_mutually_exclusive_group()
    what.add_argument(
        "--status", nargs="?", const=_SERVICE, metavar="JOB", help="the service's state, or a job's"
    )
    what.add_argument("--list", action="store_true", help="all jobs")
    for op, text in operation.CHANGES.items():
        what.add_argument("--" + op, metavar="JOB", help=text)
    what.add_argument("--attach", metavar="JOB", help="follow a job and get its video")
    what.add_argument(
        "--recolour",
        metavar="JOB",
        help="make a zoom again from the strips it kept (--keep-strips true); of the fields below it takes "
        + ", ".join("--" + name.replace("_", "-") for name in RECOLOURED),
    )
    payload_file.add_field_options(p)
    return p


def _again(args: argparse.Namespace) -> str:
    """The file that is made again. Raises RequestError."""
    again: str = args.again
    if args.payload:
        raise RequestError("BAD_OPTION", f"{args.payload}: --again takes the payload of {again}")
    if _JOB.fullmatch(again) and not Path(again).exists():
        raise RequestError(
            "BAD_FILE",
            f"{again}: no such file. --again takes a film's file; of a job here --attach {again} gets it",
        )
    return again


def request(args: argparse.Namespace) -> tuple[str, JsonObject, list[str]]:
    """The operation's name, the JSON object to send, and what to tell the person first."""
    simple = ("list", "status", "attach", *operation.CHANGES)
    if op := next((name for name in simple if getattr(args, name) not in (None, False)), None):
        if _names_a_payload(args) or args.estimate or payload_file.changes(args):
            raise RequestError("BAD_OPTION", f"--{op} takes no payload and no fields of one; leave them out")
        job = getattr(args, op)
        return op, {"op": op} | ({} if op == "list" or job is _SERVICE else {"job": job}), []
    beside = _beside(args)
    if args.recolour is not None:
        if _names_a_payload(args):
            raise RequestError(
                "BAD_OPTION",
                "--recolour takes the job's own payload, and fields: no PAYLOAD, --again, --frames, --preview",
            )
        op = operation.ESTIMATE if args.estimate else operation.RECOLOUR
        given = payload_file.changes(args)
        if (container := payload_file.named_container(args)) is not None:
            given.setdefault("container", container)  # one that the codec does not go into is refused
        return op, {"op": op, "job": args.recolour} | given | beside, []
    if args.again is not None:
        args.payload = _again(args)
    payload, told = payload_file.payload(args)
    args.asked = payload
    if args.preview is not None:
        if args.frames is not None:
            raise RequestError("BAD_OPTION", "--preview makes one sheet, --frames files: ask for one of them")
        payload = payload_file.preview(payload, args.preview)
        beside = {operation.NAME: "preview"} | beside
    if args.frames is not None:
        payload |= _frames_coding(args)
    if args.estimate:
        return operation.ESTIMATE, {"op": operation.ESTIMATE} | payload | beside, told
    return operation.RENDER, payload | beside, told + _names_another_kind(args, payload)


def _names_another_kind(args: argparse.Namespace, payload: JsonObject) -> list[str]:
    """Says before anything is rendered that the output will not be what its name ends in."""
    if args.output is None:
        return []
    kind = (
        "png"
        if args.preview is not None
        else coding.container(payload.get("codec"), payload.get("container"))
    )
    if args.output.suffix.lower() == f".{kind}":
        return []
    what, other = f"a film in {kind}", ", or name another --container"
    if args.preview is not None:
        what, other = "a picture, a PNG", ""
    return [f"note: {args.output} will be {what}, whatever its name; end it in .{kind}{other}"]


def _frames_coding(args: argparse.Namespace) -> JsonObject:
    """The fields of a film of which frames can be cut out."""
    if args.field_codec not in (None, coding.PNG):
        raise RequestError(
            "BAD_OPTION",
            f"--frames comes from a film of codec png, not {args.field_codec}; leave --codec out",
        )
    container = payload_file.named_container(args) or coding.MOV
    if container == coding.MP4:
        raise RequestError(
            "BAD_OPTION",
            f"-o {args.output}: with --frames the film has whole PNG files in it, which go into mov and mkv, not "
            "mp4; name it so, or leave -o out",
        )
    return {
        "codec": coding.PNG,
        "quality": coding.LOSSLESS,
        "container": container,
        "crf": coding.AUTO,
        "max_bitrate": "0",
    }


def _names_a_payload(args: argparse.Namespace) -> bool:
    """Whether options say what to render, or what to make of it."""
    given = args.payload, args.again, args.frames, args.preview
    return any(value is not None for value in given)


def _beside(args: argparse.Namespace) -> JsonObject:
    """What stands beside the payload's own fields."""
    beside: JsonObject = {operation.CLIENT: _user() if args.client is None else args.client}
    if args.name is not None:
        beside[operation.NAME] = args.name
    if args.priority is not None:
        beside[operation.PRIORITY] = payload_file.number(args.priority)
    return beside


def _user() -> str:
    """The login name, as far as it is known and fit to be sent."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
    return name if name.isprintable() and len(name) <= operation.LONGEST_CLIENT else ""

"""Renders one frame without the service, to a PNG or an npz file."""

from __future__ import annotations

import argparse
import cmath
import hashlib
import io
import json
import math
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from mandel import notes
from mandel import settings as settings_module
from mandel.client import place_file
from mandel.client.payload_file import named_after, number
from mandel.colour.mappings import EVEN, Curve
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.errors import MandelError, PayloadError
from mandel.payload import in_file, payload
from mandel.payload.decimal_text import Number
from mandel.payload.fields import BY_NAME, LOOK, JsonObject, without_look
from mandel.places import report
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.colour_views import colour_views, curve_of
from mandel.plan.iteration_limit import FIRST_LIMIT
from mandel.plan.view import View
from mandel.protocol import codes
from mandel.render.direct import check_limits
from mandel.render.frame import FrameRenderer
from mandel.render.iteration_limit import counts_of, view_limit, view_reference
from mandel.render.tally import Reached, is_flat
from mandel.settings import PayloadLimits
from mandel.terminal.arguments import Parser, joined, one_delta
from mandel.terminal.atomic_file import AtomicFile, check_writable, put_aside
from mandel.terminal.format import typed
from mandel.terminal.note_text import sentences

USAGE_EXIT, FAILURE_EXIT = 2, 1
_SIDE = 1000  # pixels
_SIDES = ("frame_width", "frame_height")
_FLAT = 0.01  # smooth counts that differ by less than this look like one colour
_USAGE_CODES = (*codes.REFUSED, "BAD_FILE", "BAD_OUTPUT", "UNKNOWN_DEVICE")

_EPILOG = """\
FILE is a payload, whose last frame is drawn, or a place of another program
(python client.py --help lists them): what was taken of it is said on stderr.

Prints the file's name when it is in place, with --timing before it the device,
the arithmetic and the seconds of each step. To stderr go which share of the
samples reached the limit, whether that seems too low or all is one colour, and
errors, as CODE: what to do. An npz holds iterations (int64, height x width; maxiter + 1 inside),
smooth (float32, the smooth count; 0 inside) and settings (JSON).

exit codes: 0 done, 2 wrong usage, 1 it could not be rendered or stored
"""


def _parser() -> argparse.ArgumentParser:
    p = Parser(
        prog=typed("still"),
        description=__doc__,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a payload, of which the last frame is drawn, or a place of another program; options win over it",
    )
    p.add_argument("--point", metavar="RE,IM", help="centre, decimal numbers of any length")
    p.add_argument("--delta", metavar="D", help="extent along the shorter side")
    p.add_argument("--rotation", metavar="DEGREES", help="turns the view counter-clockwise (default 0)")
    p.add_argument("--width", type=int, help="pixels (default 1000)")
    p.add_argument("--height", type=int, help="pixels (default 1000)")
    p.add_argument(
        "--maxiter",
        metavar="N",
        help='iteration limit, or "auto" (the default): found by small renderings of the view',
    )
    p.add_argument("--bailout", type=float, default=1000.0, metavar="R", help="escape radius (default 1000)")
    settings_module.add_options(p, only=("device",))
    for name in LOOK:
        field = BY_NAME[name]
        about = f"{field.help} (default {field.default})" if field.default != "" else field.help
        p.add_argument("--" + name.replace("_", "-"), metavar=field.kind.upper(), help=about)
    p.add_argument("--supersampling", metavar="N", help="N x N samples a pixel (PNG only; default 1)")
    p.add_argument(
        "--adaptive", action="store_true", help="N x N only for pixels that differ from a neighbour"
    )
    p.add_argument("--timing", action="store_true", help="print where the time went")
    p.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        help="OUT.png or OUT.npz (default: deep.png of deep.json, film-again.png of film.png, else still.png); "
        "what has the name already is kept under another one (deep.1.png), unless it is the same",
    )
    return p


def _whole(value: object) -> str:
    """The digits of a side, which a still may have odd, a payload not; "" of what the payload's check is to judge."""
    return value.text if isinstance(value, Number) and re.fullmatch("[1-9][0-9]{0,5}", value.text) else ""


def _of_file(options: argparse.Namespace) -> JsonObject:
    """The fields that the named file gives: of a payload its last frame's. What was taken of a place is printed."""
    if options.file is None:
        return {}
    sent, found = place_file.content(options.file)
    if found is None:
        given = place_file.tidied(sent)
        sides = {name: int(text) for name in _SIDES if (text := _whole(given.get(name)))}
        return payload.parse({name: given[name] for name in given if name not in sides}).canonical() | sides
    taken: JsonObject = {}
    if found.palette is not None and options.palette is None:
        taken["palette"] = place_file.payload_palette(found.palette)
    delta = ""
    if found.place is not None or found.refused or not taken:
        place = place_file.place_of(found, options.file)
        delta = place.delta(max(options.width or _SIDE, 1), max(options.height or _SIDE, 1))
        taken |= {"point": f"{place.re},{place.im}", "end_delta": delta, "rotation": place.rotation}
        if place.maxiter is not None:
            taken["maxiter"] = place.maxiter
    print(*report.sentences(found, options.file, delta, tuple(taken)), sep="\n", file=sys.stderr)
    return taken


def _validated(options: argparse.Namespace) -> payload.Payload:
    """The options and their file as a payload of one frame, the sizes put into the options.

    Sizes are checked here, because a still may have odd sides.
    """
    limits, base = PayloadLimits(), _of_file(options)
    for name in ("width", "height"):
        if getattr(options, name) is None:
            setattr(options, name, base.get(f"frame_{name}", _SIDE))
    options.adaptive = options.adaptive or base.get("supersampling_mode") == payload.ADAPTIVE
    for name in ("width", "height"):
        if not 1 <= getattr(options, name) <= limits.max_side:
            raise PayloadError(
                "OUT_OF_RANGE",
                f"{name} must be from 1 to {limits.max_side}",
                field=name,
                limit=[1, limits.max_side],
            )
    if options.out is None:
        options.out = str(named_after(options.file, ".png", "still"))
    if not options.out.endswith((".png", ".npz")):
        raise PayloadError("UNKNOWN_VALUE", f"{options.out}: the name must end in .png or .npz", field="out")
    given = {
        "point": options.point,
        "end_delta": options.delta,
        "rotation": options.rotation,
        "maxiter": options.maxiter and number(options.maxiter),
        "supersampling": options.supersampling and Number(options.supersampling),
    }
    look = {name: value for name in LOOK if (value := getattr(options, name)) is not None}
    given |= dict.fromkeys(LOOK) | without_look(look)  # a look wins over the file's colours
    if not {"point", "end_delta"} <= {name for name, value in given.items() if value is not None} | set(base):
        raise PayloadError("MISSING_FIELD", f"{options.file} has no place: add --point=RE,IM --delta D")
    fields = {name: value if value is not None else base.get(name) for name, value in given.items()}
    fields = place_file.tidied({name: value for name, value in fields.items() if value is not None})
    with one_delta():
        asked = payload.parse(fields | {"start_delta": fields["end_delta"], "num_frames": 1}, limits)
    check_limits(asked.maxiter if isinstance(asked.maxiter, int) else 1, options.bailout)
    return asked


def _limit(renderer: FrameRenderer, view: View, asked: payload.Payload) -> tuple[int, Curve]:
    """maxiter, as given or found for the view, and the curve of the mapping "even".

    A deep view's reference orbit is kept for the picture, if it is needed for these.
    """
    given = asked.maxiter if isinstance(asked.maxiter, int) else None
    if given is not None and asked.mapping != EVEN:
        return given, ()
    reference = None
    if arithmetic(view.grid(asked.supersampling)).engine == PERTURBED:
        reference = view_reference(view, asked.supersampling)
        renderer.keep_reference(view.re, view.im, reference)
    maxiter = given
    curve: Curve = ()
    if given is None:
        upright = replace(view, turn=1 + 0j)  # as the service's key views are
        limit = view_limit(renderer, upright, reference)
        if not limit.resolved:
            print(
                f"warning: the search for the iteration limit was given up: {limit.reason}", file=sys.stderr
            )
        maxiter = limit.maxiter
    if asked.mapping == EVEN:
        views = colour_views([(view.re, view.im, view.delta)])
        told = [counts_of(renderer, one.grid(), given, reference).counts for one, _ in views]
        curve = curve_of(views, told)
    return maxiter or FIRST_LIMIT, curve


def _render(options: argparse.Namespace) -> None:
    asked, out = _validated(options), Path(options.out)
    check_writable(out)
    turn = cmath.rect(1.0, math.radians(float(asked.rotation)))
    view = View(asked.re, asked.im, asked.end_delta, options.width, options.height, turn)
    started = perf_counter()
    ctx = device_context(settings_module.read(options).device)
    renderer = FrameRenderer(ctx, timed=options.timing)
    ready, data = perf_counter(), io.BytesIO()
    maxiter, curve = _limit(renderer, view, asked)
    begun = perf_counter()
    if out.suffix == ".npz":
        count, smooth = renderer.raw(view, maxiter, options.bailout)
        rendered = perf_counter()
        settings = {
            "point": f"{asked.re},{asked.im}",
            "delta": asked.end_delta,
            "rotation": asked.rotation,
            "width": view.width,
            "height": view.height,
            "maxiter": maxiter,
            "bailout": options.bailout,
            "arithmetic": renderer.timing.arithmetic,
            "device": ctx.device.name,
        }
        np.savez_compressed(
            data, iterations=count.astype(np.int64), smooth=smooth, settings=json.dumps(settings)
        )
    else:
        from mandel.video.poster import png

        style = ColourStyle.of(asked, curve)
        picture = renderer.picture(
            view, maxiter, options.bailout, style, asked.supersampling, adaptive=options.adaptive
        )
        rendered = perf_counter()
        sides = {"frame_width": view.width, "frame_height": view.height}
        data.write(
            png(picture, in_file.tags(asked.canonical() | sides, time.strftime("%Y-%m-%d", time.gmtime())))
        )
    _store(data.getvalue(), out)
    _say(renderer.reached, asked, flat=is_flat(picture) if out.suffix == ".png" else np.ptp(smooth) < _FLAT)
    if options.timing:
        timing = renderer.timing
        rows = [
            ("device", ready - started),
            ("limit", begun - ready),
            ("reference", timing.reference),
            ("table", timing.table),
            ("kernel", timing.samples - timing.reference - timing.table),
            ("colour", timing.total - timing.samples),
            ("file", perf_counter() - rendered),
        ]
        refined = f", {timing.refined:.1%} of the pixels refined" if options.adaptive else ""
        print(f"{ctx.device.name}, {timing.arithmetic}, maxiter {maxiter}{refined}")
        for name, seconds in rows:
            print(f"  {name:10} {seconds:9.4f} s")
    print(out)


def _say(reached: Reached, asked: payload.Payload, flat: bool) -> None:
    """Prints the notes on the picture to stderr."""
    samples = max(reached.samples, 1)
    known = notes.of_frame(
        0,
        {
            "reached": reached.reached / samples,
            "late": reached.late / samples,
            "maxiter": reached.maxiter,
            "flat": flat,
            "delta": asked.start_delta,
            "decimals": notes.decimals(asked.re, asked.im),
            "auto": asked.maxiter == payload.AUTO,
        },
    )
    for sentence in sentences(known, 1):
        print(sentence, file=sys.stderr)


def _store(data: bytes, out: Path) -> None:
    placed = AtomicFile(out, len(data))
    try:
        placed.write(data)
        if (kept := put_aside(out, hashlib.sha256(data).hexdigest())) is not None:
            print(f"note: another {out} was there; it is {kept} now", file=sys.stderr)
        placed.commit()
    finally:
        placed.discard()


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code. Errors go to stderr, one line each."""
    parser = _parser()
    options = parser.parse_args(joined(argv))
    if options.file is None and None in (options.point, options.delta):
        parser.error("name a FILE, or a place: --point=RE,IM --delta D")
    try:
        _render(options)
    except MandelError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return USAGE_EXIT if error.code in _USAGE_CODES else FAILURE_EXIT
    return 0

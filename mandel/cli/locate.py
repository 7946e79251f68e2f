"""What to zoom into: the minibrot inside a view, with all its digits."""

from __future__ import annotations

import argparse
import json
import math
import sys
from decimal import Decimal
from typing import Any

from mandel.client.place_file import tidied
from mandel.errors import MandelError, PayloadError
from mandel.payload import payload
from mandel.plan.nucleus import Nucleus, locate
from mandel.settings import PayloadLimits
from mandel.terminal.arguments import Parser, joined, one_delta
from mandel.terminal.format import typed

USAGE_EXIT, FAILURE_EXIT = 2, 1
_DEFAULT_LIMIT = 1_000_000
_LARGE = 100  # times the view: about its nucleus a minibrot is black so far
_LOOKED_AT = 10_000  # iterations of a point
_EPILOG = """\
Prints the nucleus: its period, the size of its minibrot and how far that is
turned; --point= with all the digits that the views need; --delta of the view
that shows the minibrot, and of the embedded Julia set around it. With --json
point, period, size, turn_degrees, minibrot_delta and julia_delta: numbers whose
digits matter are strings. Progress (on a terminal) and errors go to stderr.

exit codes: 0 found, 2 wrong usage, 1 no nucleus there
"""


def _parser() -> argparse.ArgumentParser:
    p = Parser(
        prog=typed("locate"),
        description=__doc__,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--point", required=True, metavar="RE,IM", help="centre, decimal numbers of any length")
    p.add_argument("--delta", required=True, metavar="D", help="extent of the view that is searched")
    p.add_argument(
        "--max-period",
        type=int,
        default=_DEFAULT_LIMIT,
        metavar="N",
        help=f"give up beyond this period (default {_DEFAULT_LIMIT})",
    )
    p.add_argument("--json", action="store_true", help="print one JSON object (see below)")
    p.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return p


def _progress(done: int, total: int) -> None:
    print(f"\r  step {done:,} of at most {total:,} ", end="", file=sys.stderr, flush=True)


def _facts(found: Nucleus) -> dict[str, Any]:
    return {
        "point": f"{found.re},{found.im}",
        "period": found.period,
        "size": f"{found.size:.6e}",
        "turn_degrees": round(math.degrees(found.angle), 3) + 0.0,  # no -0.0
        "minibrot_delta": found.minibrot_delta,
        "julia_delta": found.julia_delta,
    }


def _advice(asked: payload.Payload) -> str:
    """What a person may do where no nucleus is found."""
    z, c, count = 0j, complex(float(asked.re), float(asked.im)), 0
    while abs(z) <= 2 and count < _LOOKED_AT:
        z, count = z * z + c, count + 1
    wider = str((Decimal(asked.start_delta) * 1000).normalize()).lower()
    where = (
        f"The point lies outside the set (it escapes after {count} iterations), and minibrots lie in the set"
        if abs(z) > 2
        else "The point seems to lie inside the set, where all is black, or just at its edge"
    )
    return f"{where}: take one at the edge, or search farther around it, as with --delta {wider}."


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code. Errors go to stderr, one line each."""
    options = _parser().parse_args(joined(argv))
    try:
        limits = PayloadLimits()
        if not 1 <= options.max_period <= limits.max_maxiter:
            raise PayloadError(
                "OUT_OF_RANGE", f"max-period must be from 1 to {limits.max_maxiter}", field="max-period"
            )
        with one_delta():
            asked = payload.parse(
                tidied({"point": options.point, "start_delta": options.delta, "end_delta": options.delta})
                | {"num_frames": 1},
                limits,
            )
        tell = _progress if sys.stderr.isatty() and not options.quiet else None
        found = _facts(locate(asked.re, asked.im, asked.start_delta, options.max_period, tell))
    except MandelError as error:
        advice = "" if isinstance(error, PayloadError) else f" {_advice(asked)}"
        print(f"{error.code}: {error.message}{advice}", file=sys.stderr)
        return USAGE_EXIT if isinstance(error, PayloadError) else FAILURE_EXIT
    if tell is not None:
        print(file=sys.stderr)
    if options.json:
        print(json.dumps(found))
        return 0
    turn = found["turn_degrees"]
    print(f"nucleus of period {found['period']}, size {found['size']}, turned by {turn} degrees")
    print(f"  --point={found['point']}")
    print(f"  --delta {found['minibrot_delta']:12} shows its minibrot")
    print(f"  --delta {found['julia_delta']:12} shows the embedded Julia set around it")
    if Decimal(found["minibrot_delta"]) > _LARGE * Decimal(asked.start_delta):
        what = "the whole set" if found["period"] == 1 else "that minibrot"
        print(
            f"Your view, --delta {options.delta}, lies deep inside {what}: a zoom to this point ends in black. Take a "
            "point at the edge, where colours meet"
        )
    elif Decimal(found["julia_delta"]) < Decimal(asked.start_delta):
        print(
            f"Both are specks in your view, --delta {options.delta}; a zoom to this point may end at any delta."
        )
    return 0

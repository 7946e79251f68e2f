"""Measures the variants of the direct kernel on a device. From then on the fastest one is used there."""

from __future__ import annotations

import argparse
import sys

from mandel import settings
from mandel.errors import MandelError
from mandel.terminal.arguments import Parser
from mandel.terminal.format import typed

FAILURE_EXIT = 1
_EPILOG = """\
Takes a few seconds to a minute. The table is kept in the user's cache folder
(XDG_CACHE_HOME, by default ~/.cache), by device, driver and kernel source: a new
driver or a new version of this program starts from its defaults again. Run it on
each machine that renders. Counts are the same with every variant. Prints a line
for each variant, in frames of 500 x 500 a second, the fastest first.

exit codes: 0 measured, 1 no device, 2 wrong usage
"""


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code. Errors go to stderr, one line each."""
    parser = Parser(
        prog=typed("tune"),
        description=__doc__,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    settings.add_options(parser, only=("device",))
    options = parser.parse_args(argv)
    from mandel.device.context import device_context
    from mandel.render.direct import default_variant
    from mandel.render.tune import tune

    try:
        context = device_context(settings.read(options).device)
        print(f"measuring on {context.device.name} ...", file=sys.stderr, flush=True)
        speeds, usual = tune(context), default_variant(context)
    except MandelError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return FAILURE_EXIT
    for name in sorted(speeds, key=speeds.__getitem__, reverse=True):
        print(f"{name:24} {speeds[name]:9.2f} frames/s{'  (the default)' if name == usual else ''}")
    return 0

"""Looks for wrong pixels in random views of all kinds.

python -m tests.sweep --seconds 1800 [--seed N] [--device cpu] [--kinds minibrot,tip] [--table]
python -m tests.sweep --view minibrot:12345

Prints the seed first, then a line for each failure with what makes its view again; at last what was compared
with what. Ends with status 1 after a failure.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from pathlib import Path

from tests.sweep.picture_checks import ZOOM
from tests.sweep.sweep import sweep
from tests.sweep.tally import written
from tests.sweep.views import KINDS, WEIGHTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "depth.md"
NAMES = (*KINDS, ZOOM)
WORTH_A_TABLE = 600.0  # seconds of sweep


def drawn(seed: int, kinds: list[str]):
    """Kinds and seeds without end."""
    rng = random.Random(seed)
    weights = [0.3 if kind == ZOOM else WEIGHTS.get(kind, 1.0) for kind in kinds]
    for _ in itertools.count():
        yield rng.choices(kinds, weights)[0], rng.randrange(10**9)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=1_800, help="how long (default 1800)")
    parser.add_argument("--views", type=int, default=None, help="end after so many views")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--device", default="cpu", help="as mandel's --device takes it (default cpu)")
    parser.add_argument("--kinds", default=",".join(NAMES), help=f"default {','.join(NAMES)}")
    parser.add_argument("--view", action="append", metavar="KIND:SEED", help="only this one")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 2), help="processes")
    parser.add_argument(
        "--table",
        action="store_true",
        help=f"write the table into {PAGE.relative_to(ROOT)}, after all kinds and ten minutes",
    )
    parser.add_argument("--whole", action="store_true", help="print every kind under every check")
    return parser


def main() -> int:
    options = _parser().parse_args()
    kinds = options.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in NAMES]:
        print(f"no kind {unknown[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    if options.table and (
        options.view or options.views or kinds != [*NAMES] or options.seconds < WORTH_A_TABLE
    ):
        print("--table wants all kinds for ten minutes or more: the page is for everything", file=sys.stderr)
        return 2
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    if options.view:
        work = [(kind, int(number)) for kind, number in (text.split(":") for text in options.view)]
    else:
        work = itertools.islice(drawn(seed, kinds), options.views)
    begun = time.monotonic()
    tally = sweep(
        work, options.device, options.jobs, begun + options.seconds, tell=lambda line: print(line, flush=True)
    )
    seconds = time.monotonic() - begun
    print("\n".join(tally.whole() if options.whole else tally.table()))
    print(
        f"{tally.views} views in {seconds:.0f} s on {tally.device}, seed {seed}: "
        f"{len({command for command, *_ in tally.failures})} of them failed, {len(tally.failures)} checks in all"
    )
    if options.table:
        written(PAGE, tally, seconds, seed)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())

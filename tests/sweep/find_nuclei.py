"""Makes tests/reference/nuclei.json: nuclei of every depth, for views to lie about.

python -m tests.sweep.find_nuclei --seed 11 [--views FOLDER]

Three sources: walks into the decorations of ever smaller minibrots; discs about Misiurewicz and other
special points, where periods stay small at any depth; published places (FOLDER/NAME-SIZE.re and .im, of which
those deeper than 1e-200 are taken). Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import re
import sys
from decimal import Decimal
from pathlib import Path

from mandel.errors import RenderError
from mandel.plan.nucleus import Nucleus, locate
from tests.support import exact

FILE = Path(__file__).parents[1] / "reference" / "nuclei.json"
TIPS = {
    "tip": ("-2", "0"),
    "i": ("0", "1"),
    "cusp": ("0.25", "0"),
    "seahorse": ("-0.75", "0"),
    "feigenbaum": ("-1.401155189092050606005", "0"),
}
WALKS = (3, 5, 7, 9, 12, 16, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 260, 320, 400)
AROUND = {
    "tip": (2, 8, 20, 60, 100, 150, 158, 165, 230, 400, 700, 1_400),
    "i": (3, 10, 30, 90, 150, 200, 300, 480, 900),
    "cusp": (2,),
    "seahorse": (1,),
    "feigenbaum": (3, 5, 8),
}


def around(rng: random.Random, tip: str, k: int) -> Nucleus | None:
    """A nucleus within about 10**-k of a special point."""
    radius = Decimal(10) ** -k
    for _ in range(12):
        turn = rng.uniform(0, 2 * math.pi)
        at = [
            exact.shifted(TIPS[tip][way], radius * Decimal(part))
            for way, part in enumerate((math.cos(turn), math.sin(turn)))
        ]
        try:
            return locate(*at, f"{radius * Decimal('0.7'):e}", 30_000)
        except RenderError:
            continue
    return None


def published(folder: Path):
    """Nuclei that zooms to published places pass by."""
    for file in sorted(folder.glob("*.re")):
        name, depth = re.fullmatch(r"(.*)-([\d.]+e-?\d+)", file.stem).groups()
        size = -abs(Decimal(depth).adjusted())
        if size > -200:
            continue
        at = [file.with_suffix(end).read_text().strip() for end in (".re", ".im")]
        for share in (0.3, 0.45, 0.6, 0.75, 0.9, 0.99, 1):
            try:
                nucleus = locate(*at, f"4e{size * share:.0f}", 30_000)
            except RenderError as error:
                print(f"{name} {share}: {error.message}", file=sys.stderr, flush=True)
            else:
                yield f"{name} {share}", nucleus


def found(seed: int, folder: Path | None):
    for way, depth in itertools.product("ab", WALKS):
        rng = random.Random(f"{seed} walk {depth}" + way.strip("a"))
        yield (
            f"walk {way} {depth}",
            exact.random_nucleus(rng, depth, max_period=60_000 if way == "a" else 3_000),
        )
    for tip, depths in AROUND.items():
        for k in depths:
            yield f"{tip} {k}", around(random.Random(f"{seed} {tip} {k}"), tip, k)
    if folder is not None:
        yield from published(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--views", type=Path, default=None)
    options = parser.parse_args()
    rows, seen = [], set()
    for name, nucleus in found(options.seed, options.views):
        if nucleus is None or nucleus.re in seen:
            print(f"{name}: none", file=sys.stderr)
            continue
        seen.add(nucleus.re)
        print(f"{name}: period {nucleus.period}, size {nucleus.size:.3e}", file=sys.stderr, flush=True)
        rows.append(
            {
                "name": name,
                "re": nucleus.re,
                "im": nucleus.im,
                "period": nucleus.period,
                "size": f"{nucleus.size:.12e}",
                "angle": nucleus.angle,
            }
        )
    FILE.write_text(json.dumps(rows, indent=0) + "\n")


if __name__ == "__main__":
    main()

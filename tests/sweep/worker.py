"""A process that checks views, one after the other, as lines on stdin name them: a crash ends it alone."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import traceback

from mandel.plan.arithmetic import DIRECT
from tests.sweep import direct_checks, perturbed_checks, picture_checks
from tests.sweep.runs import Bench
from tests.sweep.tally import Report
from tests.sweep.views import case


def checked(bench: Bench, kind: str, seed: int) -> dict:
    """What the checks of a view found, as ``Tally.take`` takes it."""
    report, rng = Report(), random.Random(f"{kind} {seed} checks")
    if kind == picture_checks.ZOOM:
        depth = picture_checks.check_zoom(bench, seed, report)
        return {"command": f"python -m tests.sweep --view {kind}:{seed}", **report.as_json(depth)}
    one = case(kind, seed)
    (direct_checks if one.engine == DIRECT else perturbed_checks).check(bench, one, rng, report)
    picture_checks.check(bench, one, rng, report)
    return {"command": one.command(), **report.as_json(one.depth)}


def main() -> None:
    bench = Bench(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    with contextlib.redirect_stdout(sys.stderr):
        print(json.dumps({"device": bench.ctx.device.name}), file=answers, flush=True)
        for line in sys.stdin:
            kind, seed = line.split()
            try:
                found = checked(bench, kind, int(seed))
            except Exception as error:  # what a check could not do is a failure of that view
                where = traceback.extract_tb(error.__traceback__)[-1]
                words = (
                    f"{type(error).__name__}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
                )
                found = {
                    "command": f"python -m tests.sweep --view {kind}:{seed}",
                    "rows": {},
                    "failures": [("exception", words)],
                }
            print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""Runs one scenario in this process, which the sanitizers were loaded into:

    python -m tests.sanitize.child NAME RESULT.npz
    python -m tests.sanitize.child --launch FILE.cl "KERNEL ITEMS ARGUMENT ..." ...

The second form launches kernels of a file by one group of so many work items, each in a process of its own,
and says how that ended; an argument is a buffer of so many bytes (``64b``), an int or a float (``1.5``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

ENDED = "launch: "
# What this process starts, as clang, must not load the sanitizers.
os.environ.pop("LD_PRELOAD", None)


def _launch(file: str, *launches: str) -> None:
    from tests.sanitize.context import SanitizedContext

    path = Path(file)
    ctx = SanitizedContext(folder=path.parent)
    for launch in launches:
        name, items, *words = launch.split()
        kernel = ctx.kernel(path.name, name)
        arguments = [
            ctx.empty(int(word[:-1]))
            if word.endswith("b")
            else np.float32(word)
            if "." in word
            else np.int32(word)
            for word in words
        ]
        print(f"\n{ENDED}{launch}", file=sys.stderr, flush=True)
        if (child := os.fork()) == 0:
            kernel(ctx.queue, (int(items),), (int(items),), *arguments)
            os._exit(0)
        print(f"\nstatus {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--launch":
        _launch(*sys.argv[2:])
    else:
        from tests.sanitize.scenarios import SCENARIOS

        np.savez(sys.argv[2], **SCENARIOS[sys.argv[1]].sanitized())

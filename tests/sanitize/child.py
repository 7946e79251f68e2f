"""Runs one scenario in this process, which the sanitizers were loaded into:

    python -m tests.sanitize.child NAME RESULT.npz
    python -m tests.sanitize.child --launch FILE.cl KERNEL [-DNAME=VALUE ...] ARGUMENT ...

The second form launches one kernel of any file by one work item; an argument is a buffer of so many
bytes (``64b``), an int or a float.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def _launch(file: str, name: str, *words: str) -> None:
    from tests.sanitize.context import SanitizedContext

    path = Path(file)
    defines = tuple(tuple(word[2:].split("=")) for word in words if word.startswith("-D"))
    ctx = SanitizedContext(folder=path.parent)
    arguments = [
        ctx.empty(int(word[:-1])) if word.endswith("b") else np.float32(word) if "." in word else np.int32(word)
        for word in words if not word.startswith("-D")
    ]
    ctx.kernel(path.name, name, defines)(ctx.queue, (1,), None, *arguments)


if __name__ == "__main__":
    if sys.argv[1] == "--launch":
        _launch(*sys.argv[2:])
    else:
        from tests.sanitize.scenarios import SCENARIOS

        np.savez(sys.argv[2], **SCENARIOS[sys.argv[1]].sanitized())

"""OpenCL C sources and their loader.

Kernels live in .cl files, arithmetic they share in .h files beside them.
``source`` resolves ``#include "x.h"`` textually, so that a source's digest
covers all of it and nothing but the text travels to a worker's compiler.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

_INCLUDE = re.compile(r'^[ \t]*#include[ \t]+"([A-Za-z0-9_]+\.h)"[ \t]*$', re.MULTILINE)


def _expand(name: str, seen: set[str]) -> str:
    if name in seen:
        return ""
    seen.add(name)
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda match: _expand(match.group(1), seen), text)


@cache
def source(name: str) -> str:
    """Full text of the kernel file ``name`` (e.g. ``"direct.cl"``), headers included once each."""
    return _expand(name, set())


@cache
def digest(name: str) -> str:
    """SHA-256 (hex) of ``source(name)``."""
    return hashlib.sha256(source(name).encode()).hexdigest()

"""OpenCL C sources, and what their compilers are told.

Kernels are in .cl files, the arithmetic that they share in .h files beside them. ``source`` replaces each
``#include "x.h"`` by the header's text: the digest of a source then covers all of it, and a worker's compiler needs
no files. ``options`` gives the defines, those of ``contract`` among them.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

from mandel.kernels import contract

Defines = tuple[tuple[str, object], ...]

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


def options(defines: Defines = ()) -> list[str]:
    """A compiler's options for any kernel file: the numbers of ``contract``, then a variant's own ``defines``."""
    return [f"-D{name}={value}" for name, value in (*contract.DEFINES, *defines)]


@cache
def digest(name: str) -> str:
    """SHA-256 (hex) of ``source(name)`` and of the numbers that it is built with."""
    return hashlib.sha256("\n".join([source(name), *options()]).encode()).hexdigest()

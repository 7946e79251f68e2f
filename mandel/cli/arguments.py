"""Command lines as people write them, made fit for argparse."""

from __future__ import annotations

import re

_NEGATIVE = re.compile(r"-\.?[0-9]")


def joined(argv: list[str]) -> list[str]:
    """``--point -1.25,0`` as ``--point=-1.25,0``: argparse takes the former for an unknown option."""
    result: list[str] = []
    for word in argv:
        if _NEGATIVE.match(word) and result and result[-1].startswith("--") and "=" not in result[-1]:
            result[-1] += "=" + word
        else:
            result.append(word)
    return result

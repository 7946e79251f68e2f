"""Adapts command lines, as people write them, to argparse and to payloads."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from mandel.errors import PayloadError

_NEGATIVE = re.compile(r"-\.?[0-9]")
_NEAR = 0.65  # how much alike two names are, at least, of 1


def joined(argv: list[str]) -> list[str]:
    """Rewrites ``--point -1.25,0`` to ``--point=-1.25,0``: argparse would read -1.25,0 as an option."""
    result: list[str] = []
    for word in argv:
        if _NEGATIVE.match(word) and result and result[-1].startswith("--") and "=" not in result[-1]:
            result[-1] += "=" + word
        else:
            result.append(word)
    return result


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean NAME?", of the known names; "" if none is near."""
    found = difflib.get_close_matches(name, known, 1, _NEAR)
    return f"; did you mean {found[0]}?" if found else ""


class Parser(argparse.ArgumentParser):
    """An argument parser that names the nearest option where one is misspelt."""

    def parse_known_args(  # type: ignore[override] # of its overloads no caller needs more
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse does it; ends the program for an option that is none."""
        words = list(sys.argv[1:] if args is None else args)
        for word in words[: words.index("--") if "--" in words else None]:
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in name and not self._takes(name):
                self._refuse(name)
        return super().parse_known_args(args, namespace)

    def _takes(self, name: str) -> bool:
        known = self._option_string_actions
        return name in known or (self.allow_abbrev and any(one.startswith(name) for one in known))

    def _refuse(self, name: str) -> NoReturn:
        near = nearest(name, self._option_string_actions)
        self.error(f"there is no option {name}{near} (--help lists all)")


@contextmanager
def one_delta() -> Iterator[None]:
    """Renames the field in errors about start_delta or end_delta to delta, the option that both came from."""
    try:
        yield
    except PayloadError as error:
        if error.field not in ("start_delta", "end_delta"):
            raise
        message = error.message.removeprefix(f"{error.field}: ")
        raise PayloadError(error.code, f"delta: {message}", field="delta", limit=error.limit) from None

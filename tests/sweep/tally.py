"""What a sweep found: failures, and a table of what was compared with what."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

BEGIN, END = "<!-- sweep: begin -->", "<!-- sweep: end -->"


@dataclass
class Row:
    """One kind of view under one check.

    Attributes:
        views, samples: how many were compared.
        deepest: -log10 of the least sample spacing.
        wrong: samples that differ and may not.
        near: samples that differ and may, lying too near to the set or to a step of the count.
        farthest: how far from there the farthest of those lies, px.
    """

    views: int = 0
    samples: int = 0
    deepest: float = -math.inf
    wrong: int = 0
    near: int = 0
    farthest: float = 0.0

    def add(self, other: Row) -> None:
        self.views += other.views
        self.samples += other.samples
        self.wrong += other.wrong
        self.near += other.near
        self.deepest = max(self.deepest, other.deepest)
        self.farthest = max(self.farthest, other.farthest)


@dataclass
class Report:
    """What one view brought.

    Attributes:
        rows: by check.
        failures: (check, words) of each check that failed.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def count(self, check: str, samples: int, wrong: int = 0, near: int = 0, farthest: float = 0.0) -> None:
        self.rows.setdefault(check, Row()).add(Row(0, samples, -math.inf, wrong, near, farthest))

    def fail(self, check: str, words: str) -> None:
        """The first of a check's failures is told; the row counts all."""
        if check not in (known for known, _ in self.failures):
            self.failures.append((check, words))

    def as_json(self, depth: float) -> dict:
        for row in self.rows.values():
            row.views, row.deepest = 1, depth
        return {"rows": {k: asdict(row) for k, row in self.rows.items()}, "failures": self.failures}


class Tally:
    """Rows of all views, by kind and by check."""

    def __init__(self):
        self.rows: dict[tuple[str, str], Row] = {}
        self.failures: list[tuple[str, str, str]] = []  # command, check, words
        self.views = 0
        self.device = ""

    def take(self, kind: str, command: str, found: dict) -> None:
        """Adds what ``Report.as_json`` made."""
        self.views += 1
        for check, row in found["rows"].items():
            self.rows.setdefault((kind, check), Row()).add(Row(**row))
        self.failures += [(command, check, words) for check, words in found["failures"]]

    def _over(self, which: int) -> dict[str, Row]:
        sums: dict[str, Row] = {}
        for key, row in self.rows.items():
            sums.setdefault(key[which], Row()).add(row)
        return sums

    def table(self) -> list[str]:
        """Markdown: a row for each check, over all kinds; then one for each kind and the exact counts."""
        lines = [_HEAD.format("check"), _RULE]
        lines += [_line(check, row) for check, row in sorted(self._over(1).items())]
        both: dict[str, Row] = {}
        for (kind, check), row in sorted(self.rows.items()):
            if check in ("exact count", "double count"):
                both.setdefault(f"{kind}, {check}", Row()).add(row)
        if both:
            lines += ["", _HEAD.format("kind, against exact iteration"), _RULE]
            lines += [_line(name, row) for name, row in both.items()]
        return lines

    def whole(self) -> list[str]:
        """Every kind under every check."""
        return [_HEAD.format("kind, check"), _RULE] + [
            _line(f"{kind}, {check}", row) for (kind, check), row in sorted(self.rows.items())
        ]


_HEAD = (
    "| {} | views | samples compared | deepest | wrong | differ, too near to tell | farthest of these, px |"
)
_RULE = "|---|---|---|---|---|---|---|"


def _line(name: str, row: Row) -> str:
    deepest = f"1e-{row.deepest:.0f}" if row.deepest > 0 else "1"
    farthest = f"{row.farthest:.1e}" if row.near else ""
    return f"| {name} | {row.views:,} | {row.samples:,} | {deepest} | {row.wrong:,} | {row.near:,} | {farthest} |"


def replaced(page: str, lines: Iterable[str]) -> str:
    """``page`` with ``lines`` between the markers."""
    before, rest = page.split(BEGIN)
    return "\n".join([before + BEGIN, *lines, END]) + rest.split(END)[1]


def written(page: Path, tally: Tally, seconds: float, seed: int) -> None:
    """Puts the tables into a page, with where they come from."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=page.parent, text=True, capture_output=True, check=True
    ).stdout.strip()
    failed = len({command for command, *_ in tally.failures})
    head = (
        f"{date.today():%-d %B %Y}, commit {commit}, {tally.device}: {tally.views:,} views in {seconds:,.0f} s, "
        f"seed {seed}; {failed} views failed."
    )
    page.write_text(replaced(page.read_text(), [head, "", *tally.table()]))

"""Result files: what a benchmark measured, when, with which commit, on which machine.

Every benchmark calls ``record`` at its end. The files lie in
``benchmarks/results/BENCHMARK/`` and are committed; ``python -m docs.generate``
makes the tables and plots of the pages from them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results"


def add_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--results FOLDER`` to a benchmark's options."""
    parser.add_argument(
        "--results",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help="where the result file goes (default benchmarks/results)",
    )


def record(
    benchmark: str,
    rows: list[dict],
    device: str,
    cores: int,
    folder: Path = FOLDER,
    label: str = "",
    note: str = "",
) -> Path:
    """Writes one result file; a second run on the same day, device and commit replaces the first.

    Args:
        benchmark: the script's name without ``.py``.
        rows: the figures. The keys are the column headings of the page's table, units included.
        device: the OpenCL device or devices that were measured.
        cores: CPU cores that took part.
        folder: where the files of all benchmarks lie.
        label: tells runs of one benchmark apart, such as the payload's name.
        note: what a reader must know, such as other load on the machine.
    """
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    result = {
        "benchmark": benchmark,
        "label": label,
        "date": str(datetime.date.today()),
        "commit": commit,
        "changed_since_commit": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": {
            "device": device,
            "cores": cores,
            "system": f"{device}, {cores} cores, {platform.system()} {platform.machine()}",
        },
        "command": " ".join(["python", *map(_shown, sys.argv)]),
        "note": note,
        "rows": rows,
    }
    parts = (result["date"], _slug(device), _slug(label), commit)
    path = folder / benchmark / ("-".join(part for part in parts if part) + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"recorded in {path}")
    return path


def latest(benchmark: str, label: str = "*", folder: Path = FOLDER) -> list[dict]:
    """The newest result of each device and label, sorted by these; "*" stands for all labels.

    Each has its file's ``path`` beside what ``record`` wrote. Of two results of
    one day the file whose name sorts last counts.
    """
    found: dict[tuple[str, str], dict] = {}
    for path in sorted((folder / benchmark).glob("*.json"), key=lambda path: path.name):
        result = json.loads(path.read_text()) | {"path": path}
        if label in ("*", result["label"]):
            found[result["machine"]["device"], result["label"]] = result
    return [found[key] for key in sorted(found)]


def _shown(argument: str) -> str:
    """An argument without this machine's folders: a path within the checkout, of others the last part."""
    path = Path(argument)
    if not path.is_absolute():
        return argument
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def _git(*arguments: str) -> str:
    """What git prints, or nothing outside of a checkout."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""Python processes that the sanitizers are loaded into, and what they report."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tests.sanitize.compiler import BUILT, ROOT, runtime

SECONDS = int(os.environ.get("SANITIZE_SECONDS", "1800"))  # a scenario that hangs ends then
_REPORT = re.compile(r"==ERROR: AddressSanitizer|runtime error:|^SUMMARY: ", re.MULTILINE)


@cache
def _symbolizer() -> str:
    """What names files and lines in reports, without the sanitizers in it: they made it hang at its end."""
    found = shutil.which("llvm-symbolizer") or shutil.which("addr2line")
    if found is None:
        return ""
    BUILT.mkdir(parents=True, exist_ok=True)
    script = BUILT / Path(found).name
    draft = script.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    draft.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {found} "$@"\n')
    draft.chmod(0o755)
    draft.replace(script)
    return str(script)


def environment() -> dict[str, str]:
    """Of a process with the sanitizers: memory that nobody wrote holds a pattern, leaks are Python's matter."""
    asan = (
        "detect_leaks=0:halt_on_error=1:exitcode=99:allocator_may_return_null=1:max_malloc_fill_size=1073741824:"
        f"malloc_fill_byte=165:detect_stack_use_after_return=1:external_symbolizer_path={_symbolizer()}"
    )
    return os.environ | {
        "LD_PRELOAD": str(runtime()),
        "ASAN_OPTIONS": asan,
        "UBSAN_OPTIONS": "print_stacktrace=1:" + asan,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def run(*arguments: str) -> subprocess.CompletedProcess:
    """``python -m tests.sanitize.child`` with the arguments; its output as text."""
    return subprocess.run(
        [sys.executable, "-m", "tests.sanitize.child", *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=SECONDS,
    )


def report(output: str) -> str:
    """The sanitizers' words of an output from the first report on, without the table of memory; "" if none."""
    found = _REPORT.search(output)
    if not found:
        return ""
    lines = output[output.rfind("\n", 0, found.start()) + 1 :].splitlines()
    shadow = next((at for at, line in enumerate(lines) if line.startswith("Shadow bytes")), len(lines))
    return "\n".join(lines[: min(shadow, 60)])


class Runs:
    """Scenarios under way on all cores, in the order given."""

    def __init__(self, names: list[str], folder: Path):
        self._pool = ThreadPoolExecutor(
            os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
        )
        self._folder = folder
        self._futures: dict[str, Future] = {
            name: self._pool.submit(run, name, str(self.result(name))) for name in names
        }

    def result(self, name: str) -> Path:
        """Where a scenario's arrays go."""
        return self._folder / (re.sub(r"\W+", "-", name) + ".npz")

    def ended(self, name: str) -> subprocess.CompletedProcess:
        """How a scenario's process ended."""
        return self._futures[name].result()

    def stop(self) -> None:
        """Starts no more; waits for those under way."""
        self._pool.shutdown(cancel_futures=True)

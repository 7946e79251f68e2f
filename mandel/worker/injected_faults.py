"""Faults that tests inject into tasks; without the environment variable nothing is read.

``MANDEL_TASK_FAULTS`` names a file, which is read before each task and may change at any time. Each line is an
action and a regular expression that is looked for in the task's label (``"3f2a9c01 frame 17"``):

    note .                 append the label and the process id to FILE.log
    sleep:0.2 frame        wait first, in seconds
    raise frame 17$        fail with RuntimeError
    kill 3f2a.* frame 4$   end the worker's process by SIGKILL
    deaf:60 frame 9$       wait first, and take no notice of the first interrupt
    eat:4 frame 9$         take that many GiB of memory, then fail
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import numpy as np


def strike(label: str) -> None:
    """Injects the faults that the file has for the task of this label, in the file's order."""
    if not (name := os.environ.get("MANDEL_TASK_FAULTS")):
        return
    try:
        lines = Path(name).read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        action, _, pattern = line.partition(" ")
        if re.search(pattern, label):
            _do(*action.partition(":")[::2], Path(name + ".log"), label)


def _do(action: str, amount: str, log: Path, label: str) -> None:
    if action == "note":
        _note(log, label)
    elif action == "sleep":
        time.sleep(float(amount))
    elif action == "deaf":
        heard, end = False, time.monotonic() + float(amount)
        while time.monotonic() < end:
            try:
                time.sleep(0.1)
            except KeyboardInterrupt:
                if heard:
                    raise
                heard = True
                _note(log, "deaf " + label)
    elif action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "eat":
        eaten = np.ones(int(float(amount) * (1 << 30)), np.uint8)
        raise MemoryError(f"{eaten.nbytes} bytes were eaten, as a test wished")
    else:
        raise RuntimeError("a test wished it")


def _note(log: Path, text: str) -> None:
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {text}\n")

"""Holds interrupts back where they would do harm.

To cancel a call, Ray raises KeyboardInterrupt in the worker's main thread, wherever that is. In the middle of an import
that would leave a module that never works again (seen: "module 'pyopencl' has no attribute 'tools'" in every later task
of the worker).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Delays an interrupt of the main thread to the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[bool] = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt

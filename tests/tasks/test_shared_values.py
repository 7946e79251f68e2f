"""Values between processes: what frees them."""

import os

import numpy as np
import pytest

from mandel.tasks.shared_values import SharedValue, close_on_a_thread
from tests.support.processes import wait_for


def inode(descriptor: int) -> int | None:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="here values travel in the message")
def test_a_thread_frees_what_nobody_holds():
    close_on_a_thread()
    close_on_a_thread()  # one is enough
    value = SharedValue.of(np.zeros(1 << 20))
    descriptor = value.descriptor
    memory = inode(descriptor)
    assert memory is not None
    del value
    wait_for(lambda: inode(descriptor) != memory, 30, "the descriptor is closed")

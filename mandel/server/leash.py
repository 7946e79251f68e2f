"""Starts a command that dies with its parent: ``python leash.py PARENT_PID COMMAND...``.

Asks the kernel for SIGKILL at the parent's death, then becomes the command.
(A preexec_fn would do the same but is unsafe in a process with threads.) The
kernel means the parent's *thread*: the one that started us must live as long.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent died first")
    os.execv(sys.argv[2], sys.argv[2:])

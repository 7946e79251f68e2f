"""Runs a command that dies with the head: ``python leash.py HEAD_PID FD COMMAND...``.

A small process that leads the group of the command and of all that it starts
(Ray's daemons, ffmpeg). When the head dies, however it dies, the kernel tells
this process, which ends the whole group at once; Ray's own agents would linger
for a minute. FD is passed on to the command as ``--fd FD``.
"""

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def _end_group(*_) -> None:
    os.killpg(0, signal.SIGKILL)


def main(head: int, descriptor: int, command: list[str]) -> int:
    signal.signal(signal.SIGUSR1, _end_group)
    signal.signal(signal.SIGTERM, lambda *_: None)  # meant for the command; SIG_IGN would be inherited
    if sys.platform == "linux":
        # At the death of the head's thread that started us, to be exact: the keeper.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != head:
        return 1
    child = subprocess.Popen([*command, "--fd", str(descriptor)], pass_fds=(descriptor,))
    os.close(descriptor)  # or the head would not see the command's end
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))

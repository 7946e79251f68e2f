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
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0


def _end_group(*_) -> None:
    os.killpg(0, signal.SIGKILL)


def _die_with_parent() -> None:
    """Without its leash the command must not live on: nothing would end it with the head."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(head: int, descriptor: int, command: list[str]) -> int:
    signal.signal(signal.SIGUSR1, _end_group)
    signal.signal(signal.SIGTERM, lambda *_: None)  # meant for the command; SIG_IGN would be inherited
    # At the death of the head's thread that started us, to be exact: the keeper.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != head:
        return 1
    child = subprocess.Popen(
        [*command, "--fd", str(descriptor)], pass_fds=(descriptor,), preexec_fn=_die_with_parent
    )
    os.close(descriptor)  # or the head would not see the command's end
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))

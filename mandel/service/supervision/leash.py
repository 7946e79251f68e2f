"""Runs a command that dies with the head: ``python leash.py HEAD_PID FD COMMAND...``.

This small process leads the session of the command and of all that the command starts, such as Ray's daemons and
ffmpeg. When the head dies in whatever way, the kernel tells this process, which kills the whole session at once. (Ray's
own agents would linger for a minute or for ever.) A second process, its guard, does the same when this one dies. FD is
passed on to the command as ``--fd FD``.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0


def _end_session(*_: object) -> None:
    """Not only the group: Ray's workers lead groups of their own."""
    own, killed = os.getsid(0), {os.getpid()}
    while found := set(_members(own)) - killed:  # whoever is killed begins nobody any more
        killed |= found
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:  # it has ended
                pass
    os.killpg(0, signal.SIGKILL)  # and this process


def _members(session: int) -> Iterator[int]:
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        try:
            if name.isdigit() and os.getsid(int(name)) == session:
                yield int(name)
        except OSError:  # it has ended
            pass


def _end_with(parent: int) -> None:
    """Has the kernel end this session when the thread of ``parent`` that started this process dies."""
    signal.signal(signal.SIGUSR1, _end_session)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != parent:
        _end_session()


def _guard(leash: int, descriptor: int) -> int:
    """Starts the guard, in a group of its own: who kills the leash's group does not meet it. Its pid."""
    if pid := os.fork():
        return pid
    os.close(descriptor)
    os.setpgid(0, 0)
    _end_with(leash)
    while True:
        signal.pause()


def _die_with_parent() -> None:
    """Without its leash the command must not live on: nothing would end it with the head."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(head: int, descriptor: int, command: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: None)  # meant for the command; SIG_IGN would be inherited
    _end_with(head)  # at the death of its thread that started us, to be exact: the keeper
    guard = _guard(os.getpid(), descriptor) if sys.platform == "linux" else 0
    child = subprocess.Popen(
        [*command, "--fd", str(descriptor)],
        pass_fds=(descriptor,),
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads
    )
    os.close(descriptor)  # or the head would not see the command's end
    pid, status = os.wait()
    if pid == guard:
        _end_session()
    child.returncode = status = os.waitstatus_to_exitcode(status)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))

"""The driver as the head sees it: a process, and JSON lines on a socketpair."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mandel.protocol import control

_LEASH = Path(__file__).parent / "leash.py"
_PACKAGES = Path(__file__).parents[3]  # for a head that was not started where the packages are
_LONGEST_LINE = 16 << 20


def leash_command(head: int, descriptor: int, command: Sequence[str]) -> list[str]:
    """How to start ``command`` on a leash that the process ``head`` holds."""
    return [sys.executable, "-S", str(_LEASH), str(head), str(descriptor), *command]


def on_leash(command: Sequence[str], descriptor: int, output: int | None = None) -> subprocess.Popen[bytes]:
    """Starts ``command --fd N`` in a session of its own, which ends with the calling thread (leash.py).

    Args:
        descriptor: N, its end of the socket.
        output: where it prints, in place of where we do.
    """
    path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        leash_command(os.getpid(), descriptor, command),
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": path},
        stdout=output,
        stderr=output,
    )


class DriverProcess:
    """Starts ``command --fd N`` in a session of its own, on a leash (leash.py).

    The thread that makes this object must live as long as the process.

    Args:
        command: program and arguments.
        silence: seconds without a word, or without listening, after which it counts as hung while it starts.
        output: a descriptor for all that it prints, which is closed here; None: where this program prints.

    Attributes:
        ready: whether it takes orders.
    """

    def __init__(self, command: Sequence[str], silence: float, output: int | None = None):
        self._socket, theirs = socket.socketpair()
        self._bound(silence)
        try:
            self._process = on_leash(command, theirs.fileno(), output)
        finally:
            theirs.close()
            if output is not None:
                os.close(output)
        self.pid = self._process.pid
        self.ready = False

    def is_ready(self, silence: float) -> None:
        """It has started, and has to be heard within ``silence`` seconds from now on."""
        self.ready = True
        self._bound(silence)

    def _bound(self, silence: float) -> None:
        self._socket.settimeout(silence / 2)  # ``_receive`` waits twice

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except TimeoutError:  # if both were stopped for a while, and have just woken up, nothing has come yet
            return self._socket.recv(1 << 16)

    def lines(self) -> Iterator[bytes]:
        """What it says, line by line, until it closes the line.

        Raises:
            BadMessage: a line that is too long.
            TimeoutError: it was silent for too long.
        """
        buffer = bytearray()
        while len(buffer) < _LONGEST_LINE:
            try:
                data = self._receive()
            except ConnectionError:
                return
            if not data:
                return
            *lines, rest = bytes(buffer + data).split(b"\n")
            buffer = bytearray(rest)
            yield from lines
        raise control.BadMessage(f"a line of more than {_LONGEST_LINE} bytes")

    def send(self, order: control.Order) -> bool:
        """Gives an order; False when the driver is gone or does not listen."""
        try:
            self._socket.sendall(control.encode(order))
            return True
        except OSError:
            return False

    def end(self, patience: float) -> int:
        """Ends the process and all its group: waits, then SIGTERM, then SIGKILL.

        Args:
            patience: seconds to wait before each of the two signals.

        Returns:
            Its exit status, negative for a signal.
        """
        for signum in (signal.SIGTERM, signal.SIGKILL):
            try:
                self._process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                self.signal(signum)
        status = self._process.wait()
        self.signal(signal.SIGKILL)  # whoever of its group outlived it
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes a sender that waits
        self._socket.close()
        return status

    def signal(self, signum: int) -> None:
        """Sends a signal to its whole group."""
        try:
            os.killpg(self.pid, signum)
        except (ProcessLookupError, PermissionError):
            pass

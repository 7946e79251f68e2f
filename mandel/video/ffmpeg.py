"""Runs ffmpeg as a child that can neither hang nor flood its parent, and that ends with it."""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, NoReturn

import imageio_ffmpeg

from mandel.errors import RenderError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Seconds without a byte in either direction, after which ffmpeg counts as hung.
STALL = 120.0

# Seconds that a failing ffmpeg gets to print why.
_DYING = 5.0
_PIPE_BYTES = 1 << 20
_LAST_WORDS = 4_000


def executable() -> str:
    """Path of the ffmpeg to use.

    Raises:
        RenderError: NO_FFMPEG.
    """
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise RenderError(
            "NO_FFMPEG", f"no ffmpeg was found ({error}); install the pinned requirements again."
        ) from error


Ready = list[tuple[selectors.SelectorKey, int]]


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """Standard input, output and error of a process, all of which are pipes."""
    pipes = process.stdin, process.stdout, process.stderr
    if pipes[0] is None or pipes[1] is None or pipes[2] is None:
        raise TypeError("the process has other standard streams than pipes")
    return pipes[0], pipes[1], pipes[2]


class Ffmpeg:
    """One run of ffmpeg. The caller's thread writes and reads its pipes, which do not block.

    ffmpeg runs in a process group of its own, so Ctrl-C on a terminal reaches
    only its parent. It ends soon after its parent, because its pipes close then.
    As a context manager it never leaves a process behind.

    Args:
        arguments: the command line after the common options.
        sink: called with each piece of ffmpeg's standard output.
        stall: seconds without progress, after which ffmpeg is killed.

    Raises (from every method):
        RenderError: FFMPEG_FAILED with the end of ffmpeg's messages, FFMPEG_STALLED.
    """

    def __init__(self, arguments: list[str], sink: Callable[[bytes], object], stall: float = STALL):
        command = [executable(), "-hide_banner", "-nostats", "-loglevel", "error", *arguments]
        try:
            # No preexec_fn: Python code between fork and exec may wait for ever for a lock that another thread held.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                process_group=0,
            )
        except OSError as error:
            raise RenderError("NO_FFMPEG", f"{command[0]} does not start: {error}") from error
        self._stall = stall
        self._words = b""
        self._in, self._out, self._err = _pipes(self._process)
        self._sinks: dict[object, Callable[[bytes], object]] = {self._out: sink, self._err: self._hear}
        self._selector = selectors.DefaultSelector()
        for pipe in (self._out, self._err):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)
        os.set_blocking(self._in.fileno(), False)
        try:
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass  # the user's quota for pipes is used up: writes are smaller, nothing else changes

    def __enter__(self) -> Ffmpeg:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def words(self) -> str:
        """The end of ffmpeg's messages on standard error."""
        return self._words.decode(errors="replace").strip()

    def _hear(self, words: bytes) -> None:
        self._words = (self._words + words)[-_LAST_WORDS:]

    def _read_ready(self, ready: Ready) -> None:
        for key, _ in ready:
            if key.fileobj in self._sinks:
                data = os.read(key.fd, _PIPE_BYTES)
                if data:
                    self._sinks[key.fileobj](data)
                else:
                    self._selector.unregister(key.fileobj)

    def _select(self) -> Ready:
        ready = self._selector.select(self._stall)
        if not ready:
            self.kill()
            raise RenderError("FFMPEG_STALLED", f"ffmpeg did nothing for {self._stall:g} s and was ended.")
        return ready

    def feed(self, data: ReadableBuffer) -> None:
        """Writes all of ``data`` (bytes-like, contiguous) to ffmpeg's standard input."""
        left = memoryview(data).cast("B")
        pipe = self._in
        self._selector.register(pipe, selectors.EVENT_WRITE)
        try:
            while left:
                ready = self._select()
                self._read_ready(ready)
                if any(key.fileobj is pipe for key, _ in ready):
                    left = left[os.write(pipe.fileno(), left[:_PIPE_BYTES]) :]
        except (BrokenPipeError, ConnectionResetError):
            self._selector.unregister(pipe)
            self._fail()
        self._selector.unregister(pipe)

    def finish(self) -> None:
        """Closes ffmpeg's input, reads its output to the end, and checks its exit status."""
        self._in.close()
        while self._selector.get_map():
            self._read_ready(self._select())
        try:
            status = self._process.wait(self._stall)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RenderError("FFMPEG_STALLED", "ffmpeg closed its output and did not end.") from None
        if status:
            self._fail()

    def _fail(self) -> NoReturn:
        """Reads ffmpeg's last messages and raises."""
        deadline = time.monotonic() + _DYING
        while self._selector.get_map() and (left := deadline - time.monotonic()) > 0:
            self._read_ready(self._selector.select(left))
        try:
            self._process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        status = self._process.returncode
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        raise RenderError("FFMPEG_FAILED", f"ffmpeg {how}: {self.words or 'it said nothing'}")

    def kill(self) -> None:
        """Kills ffmpeg if it still runs, and frees everything. May be called again."""
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
        if self._selector.get_map() is not None:
            self._selector.close()
        for pipe in (self._in, self._out, self._err):
            pipe.close()


def run(arguments: list[str], given: bytes = b"", stall: float = STALL) -> bytes:
    """Runs ffmpeg to its end with ``given`` as standard input; returns its standard output."""
    out = bytearray()
    with Ffmpeg(arguments, out.extend, stall) as process:
        process.feed(given)
        process.finish()
    return bytes(out)

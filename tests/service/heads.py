"""A head with the stand-in driver, and clients of it by plain sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from mandel.protocol.reply_reader import JsonPart, ReplyEnd, ReplyReader, VideoData, VideoHead
from mandel.protocol.request import NEED_MORE
from tests.support import processes
from tests.support.service import ROOT, free_port

SMALL = {"num_frames": 12, "frame_width": 16, "frame_height": 16, "maxiter": 10}


class Reply:
    """One reply, read to its end: parts by name, video bytes proven by length and digest."""

    def __init__(self, sock: socket.socket):
        self.parts: list[JsonPart] = []
        self._pieces: list[bytes] = []
        self.whole = False
        self.raw = b""
        self._socket, self._reader = sock, ReplyReader()

    def step(self):
        """The next event of the reply."""
        while (event := self._reader.next_event()) is NEED_MORE:
            data = self._socket.recv(1 << 16)
            if not self._pieces:  # a video may be large
                self.raw += data
            self._reader.feed(data)
        if isinstance(event, JsonPart):
            self.parts.append(event)
        elif isinstance(event, VideoData):
            self._pieces.append(event.data)
        elif isinstance(event, ReplyEnd):
            self.whole = True
        else:
            assert isinstance(event, VideoHead)
        return event

    def read(self) -> Reply:
        while not self.whole:
            self.step()
        return self

    @property
    def video(self) -> bytes:
        return b"".join(self._pieces)

    @property
    def last(self) -> dict:
        return self.parts[-1].fields

    @property
    def code(self) -> str | None:
        return self.last["code"] if self.parts and self.parts[-1].name == "error" else None


class Head:
    """A running head. ``orders`` is the folder that commands its stand-in driver."""

    def __init__(
        self, folder: Path, *options: str, failpoint: str = "", wait: bool = True, hook: str = "", **how
    ):
        self.db, self.orders = folder / "DB", folder / "orders"
        self.orders.mkdir(exist_ok=True)
        self.port, self.mark = free_port(), processes.new_mark()
        self.log = folder / f"head-{self.port}.log"
        env = os.environ | {
            "STAND_IN": str(self.orders),
            "MANDEL_FAILPOINT": failpoint,
            processes.VARIABLE: self.mark,
            "PYTHONPATH": f"{hook}:{ROOT}" if hook else str(ROOT),
        }
        command = [
            sys.executable,
            str(ROOT / "tests/service/stand_in_head.py"),
            "--db",
            str(self.db),
            "--port",
            str(self.port),
            *options,
        ]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True, **how
            )
        if wait:
            try:
                processes.wait_for(
                    lambda: "listening on" in self.said() or self.process.poll() is not None,
                    60,
                    "the head listens",
                )
            except BaseException:
                self.end()
                raise

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def chatter(self) -> str:
        """What its drivers printed."""
        path = self.db / "renderer.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def tell(self, order: str, text: str) -> None:
        """Gives an order that has a text, all of it at once."""
        (self.orders / "new").write_text(text)
        (self.orders / "new").rename(self.orders / order)

    def order(self, name: str) -> None:
        (self.orders / name).touch()

    def withdraw(self, name: str) -> None:
        (self.orders / name).unlink()

    def lines(self, name: str) -> list[str]:
        path = self.orders / name
        return path.read_text().splitlines() if path.exists() else []

    def connect(self, timeout: float = 30, source: str = "127.0.0.1") -> socket.socket:
        """A connection from the address ``source``, one of this machine's."""
        return socket.create_connection(("127.0.0.1", self.port), timeout, source_address=(source, 0))

    def send(self, source: str = "127.0.0.1", **fields) -> tuple[socket.socket, Reply]:
        sock = self.connect(source=source)
        sock.sendall(json.dumps(fields).encode())
        return sock, Reply(sock)

    def ask(self, source: str = "127.0.0.1", **fields) -> Reply:
        """Sends a request and reads the whole reply."""
        sock, reply = self.send(source, **fields)
        with sock:
            return reply.read()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL to the head alone; its driver must die by itself."""
        self.process.kill()
        self.process.wait()

    def processes(self) -> dict[int, str]:
        return processes.marked(self.mark)

    def end(self) -> None:
        processes.end_all(self.mark)
        self.process.wait()


def expected_video(job: str, frames: int = SMALL["num_frames"]) -> bytes:
    """What the stand-in makes of a job."""
    return b"".join(f"{job} {index}\n".encode() * 200 for index in range(-(-frames // 5)))

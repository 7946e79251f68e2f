"""A real service on a free port: ray_head.py as a user starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.support import processes

ROOT = Path(__file__).resolve().parent.parent.parent
STOP_SECONDS = 40.0


def free_port() -> int:
    """A TCP port that nothing uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """One run of ray_head.py.

    Args:
        db: its DB folder.
        options: further command line options.
        environment: further variables.
    """

    def __init__(self, db: Path, *options: str, environment: dict | None = None):
        self.db = Path(db)
        self.port = free_port()
        self.mark = processes.new_mark()
        self.db.parent.mkdir(parents=True, exist_ok=True)
        self.log = self.db.parent / f"head-{self.port}.log"
        env = {**os.environ, **(environment or {}), processes.VARIABLE: self.mark}
        command = [sys.executable, str(ROOT / "ray_head.py"), "--port", str(self.port), "--db", str(self.db)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True
            )
        try:
            processes.wait_for(self._listening, 120, "the service listens")
        except BaseException:
            print(self.output())
            self.kill()
            raise

    def _listening(self) -> bool:
        assert self.process.poll() is None, f"ray_head.py ended: {self.output()}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def output(self) -> str:
        """What it has printed so far, and behind that what its renderer and Ray have."""
        chatter = self.db / "renderer.log"
        return self.log.read_text(errors="replace") + (
            chatter.read_text(errors="replace") if chatter.exists() else ""
        )

    def client(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess:
        """Runs client.py against it; stdout and stderr as text."""
        command = [sys.executable, str(ROOT / "client.py"), "--port", str(self.port), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=self.db.parent)

    def processes(self) -> dict[int, str]:
        """Its living processes, Ray's included."""
        return processes.marked(self.mark)

    def stop(self) -> int:
        """SIGTERM as an operator would; its exit code. No process may be left."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
            processes.wait_for(lambda: not self.processes(), 10, "all of the service's processes ended")
            return code
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends everything at once; for cleaning up."""
        processes.end_all(self.mark)
        self.process.wait()

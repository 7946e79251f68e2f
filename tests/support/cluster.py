"""A Ray cluster of several nodes on one machine, brought up by the two scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import processes
from tests.support.service import ROOT, Service, free_port


class Cluster:
    """Runs the scripts with a token and a folder of its own; ends by pid what they leave.

    Every node has one CPU and no GPU. Workers read their faults (mandel/worker/injected_faults.py)
    from ``faults``.

    Args:
        environment: further variables of every node.
    """

    def __init__(self, **environment: str):
        # Ray's sockets lie in it: a long path would not fit their names.
        self.folder = Path(tempfile.mkdtemp(prefix="mz", dir="/tmp"))
        self.mark = processes.new_mark()
        self.port, self.dashboard = free_port(), free_port()
        self.faults = self.folder / "faults"
        self.started: subprocess.CompletedProcess | None = None  # what the head's script said
        self.environment = {
            **os.environ,
            processes.VARIABLE: self.mark,
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "auth_token"),
            "MANDEL_TASK_FAULTS": str(self.faults),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **environment,
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            cwd=ROOT,
        )

    def head(self) -> subprocess.CompletedProcess:
        return self.run(
            "./spawn_ray_head.sh",
            "--port",
            str(self.port),
            "--dashboard-port",
            str(self.dashboard),
            "--num-cpus",
            "1",
            "--num-gpus",
            "0",
            "--",
            "--temp-dir",
            str(self.folder / "ray"),
        )

    def worker(self, **environment: str) -> subprocess.CompletedProcess:
        return self.run(
            "./spawn_ray_server.sh",
            f"127.0.0.1:{self.port}",
            "--num-cpus",
            "1",
            "--num-gpus",
            "0",
            "--again",
            **environment,
        )

    def status(self) -> str:
        return self.run("ray", "status", "--address", f"127.0.0.1:{self.port}", RAY_AUTH_MODE="token").stdout

    def raylets(self) -> dict[int, str]:
        """Node id by pid of the raylets, the head's left out."""
        found = {}
        for pid, command in processes.marked(self.mark).items():
            node = re.search(r"raylet/raylet .*--node_id=([0-9a-f]+)", command)
            if node and "--head" not in command:
                found[pid] = node[1]
        return found

    def service(self, db: Path, *options: str, **environment: str) -> Service:
        """A service that joins this cluster."""
        token = {"RAY_AUTH_TOKEN_PATH": self.environment["RAY_AUTH_TOKEN_PATH"]}
        return Service(db, "--address", f"127.0.0.1:{self.port}", *options, environment=token | environment)

    def end(self) -> None:
        processes.end_all(self.mark)
        shutil.rmtree(self.folder, ignore_errors=True)

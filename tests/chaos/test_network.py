"""T18: what listens where, and who is let in. T19: how soon a wrong worker is told so."""

import re
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chaos import ask, tell
from tests.support.service import free_port


def listening(pids: dict[int, str]) -> set[tuple[str, int, str]]:
    """Address, port and program of every TCP socket on which one of the processes listens."""
    owners = {}
    for pid, command in pids.items():
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if inode := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                    owners[inode[1]] = command
        except OSError:
            continue
    found = set()
    for table, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        for row in Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and fields[9] in owners:
                packed, port = fields[1].split(":")
                words = [bytes.fromhex(packed[k : k + 8])[::-1] for k in range(0, len(packed), 8)]
                found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16), owners[fields[9]]))
    return found


def program(command: str) -> str:
    names = (
        "ray_head.py",
        "gcs_server",
        "raylet/raylet",
        "dashboard.py",
        "DashboardAgent",
        "RuntimeEnvAgent",
    )
    return next((name for name in names if name in command), command.split("/")[-1][:40].strip())


def test_what_listens_where(cluster, service):
    """T18"""
    ready = processes.wait_for(
        lambda: ask(service.port, op="status").last["cluster"].get("dashboard"), 60, "it is ready"
    )
    sockets = listening(service.processes()) | listening(processes.marked(cluster.mark))
    loopback = {s for s in sockets if s[0] in ("127.0.0.1", "::1", "::ffff:127.0.0.1")}
    tell(
        "T18",
        on_loopback=sorted({program(c) for _, _, c in loopback}),
        on_all_interfaces=sorted({program(c) for _, _, c in sockets - loopback}),
    )
    assert [address for address, _, command in sockets if "ray_head.py" in command] == ["127.0.0.1"]
    dashboard = ready.removeprefix("http://")
    assert dashboard.rpartition(":")[0] == "127.0.0.1"
    for path in ("/api/jobs/", "/nodes?view=summary"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{dashboard}{path}", timeout=10)
        with refused.value:
            assert refused.value.code == 401


def test_wrong_workers_are_told_soon(cluster, tmp_path):
    """T18, T19"""
    figures = {}

    def refused(name: str, run, *words: str) -> None:
        began = time.monotonic()
        result = run()
        figures[name] = f"{time.monotonic() - began:.1f} s"
        assert result.returncode == 1 and all(word in result.stderr for word in words), result.stderr
        assert "Traceback" not in result.stderr

    def pretending(module: str, attribute: str, value: str):
        folder = tmp_path / module
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(f"import {module}\n{module}.{attribute} = {value}\n")
        return cluster.worker(PYTHONPATH=str(folder))

    refused("another Ray", lambda: pretending("ray", "__version__", "'9.9.9'"), "9.9.9", "on the head")
    refused(
        "another Python",
        lambda: pretending("platform", "python_version", "lambda: '9.9.9'"),
        "9.9.9",
        "on the head",
    )
    refused(
        "no head", lambda: cluster.run("./spawn_ray_server.sh", f"127.0.0.1:{free_port()}"), "nothing answers"
    )
    refused("another token", lambda: cluster.worker(RAY_AUTH_TOKEN="0" * 64), "token")
    refused("no token", lambda: cluster.worker(RAY_AUTH_TOKEN_PATH=str(tmp_path / "none")), "token")
    tell("T19", **{name.replace(" ", "_"): seconds for name, seconds in figures.items()})

"""Imports point one way; see the table of rooms in docs/design.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "mandel").rglob("*.py"))

# room -> rooms of this package it may import from (itself and errors always)
ALLOWED = {
    "errors": set(),
    "notes": set(),
    "version": set(),
    "settings": set(),
    "secret": set(),
    "": {"version"},
    "__main__": {"", "cli"},
    "checks": {"settings", "protocol"},
    "payload": {"checks", "settings", "version", "colour", "protocol", "plan", "video", ""},
    "plan": set(),
    "kernels": set(),
    "device": {"kernels"},
    "colour": {"plan"},
    "video": set(),
    "render": {"plan", "kernels", "device", "colour"},
    "cluster": {
        "plan",
        "colour",
        "render",
        "device",
        "video",
        "payload",
        "settings",
        "version",
        "secret",
        "notes",
        "",
    },
    "store": {"video", "version", "", "settings"},
    "protocol": {"version", ""},
    "server": {"store", "protocol", "payload", "settings", "version", "plan", "secret", "notes", ""},
}
# who alone may import these
ONLY = {
    "ray": {"mandel/cluster/ray_executor.py", "mandel/cluster/ray_worker.py"},
    "grpc": {"mandel/cluster/find.py"},
    "pyopencl": {"mandel/device"},
    "socket": {
        "mandel/server",
        "mandel/cli",
        "mandel/cluster/find.py",
        "mandel/cluster/driver.py",
        "mandel/cluster/tasks.py",
    },
    "sqlite3": {"mandel/store"},
    "pydantic": {"mandel/payload.py", "mandel/checks.py"},
    "pydantic_core": {"mandel/checks.py"},
    "imageio_ffmpeg": {"mandel/video", "mandel/cli/doctor.py"},
}
FORBIDDEN = {
    "plan": {"ray", "pyopencl", "socket", "time", "datetime", "os", "pathlib", "subprocess"},
    "colour": {"ray", "pyopencl", "socket", "os", "subprocess"},
    "protocol": {"ray", "pyopencl", "socket", "os", "subprocess", "pydantic"},
}


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "mandel").with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_there_is_something_to_walk():
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own, name = room(path), str(path.relative_to(ROOT))
    for imported in imports(path):
        parts = imported.split(".")
        if parts[0] == "mandel":
            target = (
                parts[1]
                if (len(parts) > 1 and (ROOT / "mandel" / parts[1]).is_dir()) or len(parts) > 2
                else ""
            )
            if own != "cli" and target not in (own, "errors"):
                assert target in ALLOWED[own], f"{name} imports {imported}"
        elif parts[0] in ONLY:
            assert any(name.startswith(place) for place in ONLY[parts[0]]), f"{name} imports {imported}"
        assert parts[0] not in FORBIDDEN.get(own, ()), f"{name} imports {imported}"


def test_the_listener_never_imports_ray_or_opencl():
    code = (
        "import sys, mandel.cli.head, mandel.server.supervisor;"
        "print(sorted(m for m in ('ray', 'pyopencl', 'numpy') if m in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "ray" not in run.stdout and "pyopencl" not in run.stdout

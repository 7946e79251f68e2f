"""Imports point one way, room by room, and no process loads what it must not; docs/design.md has the rooms."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "mandel").rglob("*.py"))
}

# A room is a folder, or a file beside the folders. Room -> the rooms that it imports from: all of them and no others.
# A room stands below all that it imports from, so that no circle can be written down here.
ROOMS = {
    "errors": set(),
    "kernels": set(),
    "notes": set(),
    "plain_file": set(),
    "version": set(),
    "colour": {"errors"},
    "device": {"errors", "kernels"},
    "mandel": {"version"},
    "plan": {"colour", "errors", "kernels"},
    "secret": {"errors"},
    "settings": {"errors"},
    "video": {"errors", "plain_file", "plan"},
    "tasks": {"colour", "errors", "plain_file", "plan", "video"},
    "payload": {"colour", "errors", "plan", "settings", "version", "video"},
    "store": {"errors", "payload", "plain_file", "video"},
    "render": {"colour", "device", "errors", "kernels", "plan", "tasks"},
    "terminal": {"errors", "payload"},
    "protocol": {"errors", "payload"},
    "driver.files": {"errors", "plain_file", "protocol", "tasks"},
    "driver.recipes": {"colour", "driver.files", "payload", "plan", "tasks"},
    "places": {"colour", "errors", "payload", "protocol", "terminal"},
    "worker": {"device", "errors", "plan", "render", "tasks", "video"},
    "client": {
        "colour",
        "errors",
        "payload",
        "places",
        "protocol",
        "secret",
        "settings",
        "terminal",
        "video",
    },
    "driver.jobs": {
        "colour",
        "driver.files",
        "driver.recipes",
        "errors",
        "notes",
        "payload",
        "plan",
        "protocol",
        "tasks",
        "video",
    },
    "__main__": {"mandel", "terminal"},
    "service.jobs": {"errors", "notes", "payload", "plan", "protocol", "settings", "store"},
    "driver.executors": {
        "colour",
        "device",
        "driver.recipes",
        "errors",
        "mandel",
        "plan",
        "secret",
        "tasks",
        "worker",
    },
    "service.net": {"errors", "payload", "protocol", "secret", "service.jobs", "settings", "store"},
    "service.supervision": {"errors", "payload", "plain_file", "protocol", "service.jobs", "store"},
    "driver": {"driver.executors", "driver.files", "driver.jobs", "errors", "payload", "protocol", "tasks"},
    "service": {
        "payload",
        "service.jobs",
        "service.net",
        "service.supervision",
        "settings",
        "store",
        "version",
    },
    "explorer": {
        "device",
        "driver.executors",
        "errors",
        "mandel",
        "plan",
        "protocol",
        "render",
        "worker",
    },
    "web": {
        "colour",
        "errors",
        "payload",
        "places",
        "plain_file",
        "plan",
        "protocol",
        "service",
        "service.jobs",
        "service.net",
        "service.supervision",
        "settings",
        "store",
        "version",
        "video",
    },
    "cli": {
        "client",
        "colour",
        "device",
        "driver.executors",
        "errors",
        "mandel",
        "notes",
        "payload",
        "places",
        "plan",
        "protocol",
        "render",
        "service",
        "service.net",
        "settings",
        "store",
        "terminal",
        "video",
        "web",
    },
}
# What only these rooms or modules may import.
ONLY = {
    "ray": {
        "mandel.driver.executors.ray_executor",
        "mandel.explorer.ray_pool",
        "mandel.worker.ray_call",
    },
    "grpc": {"mandel.driver.executors.ray_cluster"},
    "pyopencl": {"mandel.device"},
    "socket": {
        "mandel.service.net",
        "mandel.explorer.main",
        "mandel.web",
        "mandel.service.supervision",
        "mandel.client",
        "mandel.cli",
        "mandel.driver.main",
        "mandel.driver.executors.ray_cluster",
        "mandel.worker.functions",
    },
    "aiohttp": {"mandel.web"},
    "sqlite3": {"mandel.store"},
    "imageio": {"mandel.video"},
    "imageio_ffmpeg": {"mandel.video", "mandel.cli.doctor"},
}
# What these rooms must not import, as they compute and nothing else.
PURE = {
    "plan": {"socket", "time", "datetime", "os", "pathlib", "subprocess"},
    "colour": {"socket", "os", "subprocess"},
    "protocol": {"socket", "os", "subprocess"},
}
# Process -> the modules that it begins with, and what none of all that it may load imports, at once or later.
PROCESSES = {
    "head": (
        ("mandel.cli.head", "mandel.service.service", "mandel.web.server"),
        {"ray", "grpc", "pyopencl", "numpy", "gmpy2", "imageio"},
    ),
    "client": (
        ("mandel.client.main",),
        {"ray", "pyopencl", "numpy", "gmpy2", "imageio", "imageio_ffmpeg"},
    ),
    "driver": (("mandel.driver.main",), {"sqlite3"}),
    "worker": (("mandel.worker.ray_call", "mandel.worker.embedded", "mandel.worker.tile_maker"), {"sqlite3"}),
    "explorer": (("mandel.explorer.main",), {"sqlite3", "aiohttp"}),
}


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports anywhere in its text: modules of this package, and what is imported from elsewhere."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                found.add(member if member in FILES else node.module)
    return frozenset(found)


def room(name: str) -> str:
    """The room of a module of this package."""
    folder = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    return (name if folder == "mandel" else folder).removeprefix("mandel.")


def rooms_of_the_code() -> dict[str, set[str]]:
    """Each room, and the rooms that it imports from."""
    found: dict[str, set[str]] = {}
    for name in FILES:
        used = {room(target) for target in imports(name) if target in FILES}
        found.setdefault(room(name), set()).update(used - {room(name)})
    return found


def way_to(entries: tuple[str, ...], wanted: str) -> list[str]:
    """The modules by which one of ``entries`` comes to load the package ``wanted``; empty if it does not."""
    seen, ways = set(entries), [[entry] for entry in entries]
    for way in ways:
        for target in sorted(imports(way[-1])):
            if target.split(".")[0] == wanted:
                return [*way, target]
            if target in FILES and target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def loaded_by(entries: tuple[str, ...]) -> set[str]:
    """Packages and modules that a process which begins with ``entries`` may load, their first names."""
    seen, found = list(entries), set()
    for name in seen:
        for target in imports(name):
            found.add(target.split(".")[0])
            if target in FILES and target not in seen:
                seen.append(target)
    return found


@pytest.mark.parametrize("name", sorted({*ROOMS, *rooms_of_the_code()}))
def test_a_room_imports_from_the_rooms_in_the_table_and_no_others(name):
    assert rooms_of_the_code().get(name) == ROOMS.get(name)


def test_the_table_has_no_circle():
    below = set()
    for name, used in ROOMS.items():
        assert used <= below, (
            f"{name} imports from {sorted(used - below)}, which must stand above it in the table"
        )
        below.add(name)


@pytest.mark.parametrize("name", FILES)
def test_some_packages_are_imported_in_few_places(name):
    for target in imports(name):
        package = target.split(".")[0]
        allowed = ONLY.get(package)
        assert allowed is None or any(name == place or name.startswith(place + ".") for place in allowed), (
            f"{name} imports {target}"
        )
        assert package not in PURE.get(room(name), ()), f"{name} imports {target}"


@pytest.mark.parametrize("package", ONLY)
def test_no_permission_is_left_over(package):
    users = {name for name in FILES if any(target.split(".")[0] == package for target in imports(name))}
    for place in ONLY[package]:
        assert any(name == place or name.startswith(place + ".") for name in users), (
            f"{place} no longer imports {package}"
        )


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_loads_nothing_that_it_must_not(process):
    entries, forbidden = PROCESSES[process]
    for package in sorted(forbidden):
        assert not (way := way_to(entries, package)), " -> ".join(way)


def test_the_head_loads_no_ray_opencl_or_numpy_as_it_runs():
    code = "import sys, mandel.cli.head, mandel.service.service; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"ray", "pyopencl", "numpy"} & set(run.stdout.split())

"""What this machine has, what would be used, and why."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from mandel import ENGINE, VERSION, settings
from mandel.errors import MandelError
from mandel.store.names import Names
from mandel.store.usage import of_folder
from mandel.terminal.arguments import Parser
from mandel.terminal.format import size, typed

_PACKAGES = ("ray", "pyopencl", "numpy", "imageio", "imageio-ffmpeg", "gmpy2", "intel-opencl-rt")
_LITTLE_DISK = 1 << 30


def _section(title: str) -> None:
    print(f"\n{title}")


def _row(name: str, text: str) -> None:
    print(f"  {name:<14} {text}")


def _opencl(wanted: str) -> bool:
    from mandel.device.choose import choose, devices
    from mandel.device.runtime import bundled_runtime

    _section("OpenCL")
    for d in devices():
        memory = f"{d.memory / 2**30:.0f} GiB"
        _row(f"{d.index}: {d.kind}", f"{d.name}, {d.cores} compute units, {memory}")
        _row("", f"{d.platform}, driver {d.driver}" + (f", UUID {d.uuid}" if d.uuid else ""))
        if d.fault:
            _row("", f"NOT USED: {d.fault}")
    vendors = os.environ.get("OCL_ICD_VENDORS")
    if vendors:
        _row("runtime", f"drivers listed in OCL_ICD_VENDORS={vendors}")
    else:
        _row(
            "runtime",
            f"CPU runtime from pip: {bundled_runtime() or 'not installed'}; the system's GPU drivers",
        )
    try:
        choice = choose(wanted)
    except MandelError as error:
        _row("chosen", f"NONE: {error.message}")
        return False
    _row("chosen", f"{choice.device.index}: {choice.device.name}, because {choice.reason}")
    return True


def _ray(address: str) -> bool:
    _section("Ray")
    from mandel.driver.executors.ray_cluster import find_cluster
    from mandel.driver.executors.ray_token import ensure_token, token_path

    if importlib.util.find_spec("ray") is None:
        _row("missing", "Ray is not installed; run `make setup`")
        return False
    try:
        if word := ensure_token():
            _row("token", word)
        found = find_cluster(address)
    except MandelError as error:
        _row("cluster", error.message)
        return False
    _row(
        "cluster",
        f"running at {found}; the service joins it"
        if found
        else "none running; the service starts Ray on this machine",
    )
    _row("cores", f"{len(os.sched_getaffinity(0))} usable here")
    _row("token", "in RAY_AUTH_TOKEN" if "RAY_AUTH_TOKEN" in os.environ else str(token_path()))
    return True


def _ffmpeg() -> bool:
    import subprocess

    import imageio_ffmpeg

    _section("ffmpeg")
    try:
        path = imageio_ffmpeg.get_ffmpeg_exe()
        text = subprocess.run([path, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=20)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        _row("missing", f"{error}; run `make setup`")
        return False
    able = "libx264" in text.stdout
    _row("binary", path)
    _row("version", imageio_ffmpeg.get_ffmpeg_version())
    _row("libx264", "yes" if able else "NO: H.264 cannot be encoded")
    return able


def _disk(chosen: settings.Settings) -> bool:
    _section("Disk")
    folder = Path(chosen.db).resolve()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    _row("DB", f"{folder}" + ("" if writable else " (NOT WRITABLE)"))
    taken = of_folder(folder)
    limit = chosen.max_db_bytes or int(chosen.max_db_share * (taken + free))
    by = (
        "--max-db-bytes"
        if chosen.max_db_bytes
        else f"--max-db-share {chosen.max_db_share:g} of that and what is free"
    )
    _row("takes", f"{size(taken)}; may take {size(limit)} ({by}), then old videos make room")
    if lost := of_folder(Names(folder).lost):
        _row(
            "lost",
            f"{size(lost)} in {Names(folder).lost}: what the service found and does not know; look, and "
            "remove it",
        )
    _row("free", f"{free / 2**30:.1f} GiB" + ("" if free > _LITTLE_DISK else " (LITTLE)"))
    return writable and free > _LITTLE_DISK


def _versions() -> bool:
    _section("Versions")
    _row("mandel", f"{VERSION}, engine {ENGINE}")
    _row("python", f"{platform.python_version()} ({sys.executable})")
    for package in _PACKAGES:
        try:
            _row(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            _row(package, "not installed")
    return True


def main(argv: list[str] | None = None) -> int:
    """Prints the report. Returns 0 if everything that is needed works, 1 if not, 2 for a bad option."""
    parser = Parser(
        prog=typed("doctor"),
        description=__doc__,
        allow_abbrev=False,
        epilog="Prints sections in words, and last whether something is missing. "
        "Exit codes: 0 all is well, 1 something is missing, 2 a bad option.",
    )
    parser.add_argument("--gpus", action="store_true", help="print only the number of usable GPUs")
    settings.add_options(parser, only=("device", "address", "db", "max_db_bytes", "max_db_share"))
    options = parser.parse_args(argv)
    if options.gpus:
        from mandel.device.choose import devices

        print(sum(d.is_gpu and d.usable for d in devices()))
        return 0
    try:
        chosen = settings.read(options)
    except MandelError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    print(f"Mandelbrot zoom service {VERSION} on {platform.platform()}")
    checks = [
        _opencl(chosen.device),
        _ray(chosen.address),
        _ffmpeg(),
        _disk(chosen),
        _versions(),
    ]
    print("\nAll is well." if all(checks) else "\nSomething is missing, see above.")
    return 0 if all(checks) else 1

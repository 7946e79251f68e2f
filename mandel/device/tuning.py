"""Measured speeds of kernel variants, kept per device, driver and source.

A JSON file in the user's cache folder. It only ever decides how fast something
runs: a missing, unreadable or foreign file means defaults.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mandel import kernels
from mandel.device.choose import Device


def folder() -> Path:
    """Where the tables lie: $XDG_CACHE_HOME/mandel, by default ~/.cache/mandel."""
    root = os.environ.get("XDG_CACHE_HOME")
    return Path(root) / "mandel" if root else Path.home() / ".cache" / "mandel"


def _path(device: Device, name: str, files: tuple[str, ...]) -> Path:
    said = [device.name, device.platform, device.driver, *map(kernels.digest, files)]
    key = hashlib.sha256("\n".join(said).encode()).hexdigest()[:20]
    return folder() / f"{name}-{key}.json"


def table(device: Device, name: str, files: tuple[str, ...]) -> dict[str, float]:
    """Variant -> measured speed (higher is better); empty when nothing was measured.

    Args:
        files: the kernel files whose sources the measurement depends on.
    """
    try:
        speeds = json.loads(_path(device, name, files).read_text())["speeds"]
        return {str(variant): float(speed) for variant, speed in speeds.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def best(device: Device, name: str, files: tuple[str, ...]) -> str | None:
    """The fastest variant measured, if any was."""
    speeds = table(device, name, files)
    return max(speeds, key=speeds.__getitem__) if speeds else None


def keep(device: Device, name: str, files: tuple[str, ...], speeds: dict[str, float]) -> Path:
    """Stores a table, atomically; returns its path."""
    path = _path(device, name, files)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps({"device": device.name, "driver": device.driver, "speeds": speeds}, indent=1))
    draft.replace(path)
    return path

"""Lists the OpenCL devices and chooses one.

A device is named by ``auto``, ``gpu``, ``cpu``, its index in the list that ``python -m mandel doctor`` prints, a part
of its name, or its UUID. Several names, separated by commas, mean the first one that exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from mandel.device.runtime import opencl
from mandel.errors import DeviceError

if TYPE_CHECKING:  # importing it needs care: see runtime.py
    import pyopencl

# PoCL 3.0, which pip brings, computes some kernels wrongly, does not get done with building others, and
# crashes. Debian's 3.1 passes their tests (docs/design.md).
_POCL, _OLDEST_POCL = "Portable Computing Language", (3, 1)


@dataclass(frozen=True)
class Device:
    """One OpenCL device.

    Attributes:
        index: position in ``devices()``; stable for one machine and driver set.
        name, platform, driver, version: as the driver reports them.
        kind: ``"gpu"``, ``"cpu"`` or ``"other"``.
        cores: compute units.
        fault: why this program cannot use it, in words; "" if it can.
        memory: bytes of global memory.
        uuid: hex digits where the driver gives them, else ``""``.
        handle: the pyopencl device.
    """

    index: int
    name: str
    platform: str
    driver: str
    version: str
    kind: str
    cores: int
    fault: str
    memory: int
    uuid: str
    handle: pyopencl.Device

    @property
    def is_gpu(self) -> bool:
        return self.kind == "gpu"

    @property
    def usable(self) -> bool:
        return not self.fault


@dataclass(frozen=True)
class Choice:
    """The device to use and, in words, why."""

    device: Device
    reason: str


def _kind(cl: ModuleType, handle: pyopencl.Device) -> str:
    if handle.type & cl.device_type.GPU:
        return "gpu"
    if handle.type & cl.device_type.CPU:
        return "cpu"
    return "other"


def _uuid(cl: ModuleType, handle: pyopencl.Device) -> str:
    try:
        return bytes(cast("Iterable[int]", handle.get_info(cl.device_info.UUID_KHR))).hex()
    except (AttributeError, cl.Error, TypeError, ValueError):
        return ""


def pocl_fault(driver: str) -> str:
    """The reason why this version of PoCL, such as ``3.1+debian``, is refused; "" if it may be used."""
    numbers = re.match(r"(\d+)\.(\d+)", driver)
    if numbers and tuple(map(int, numbers.groups())) >= _OLDEST_POCL:
        return ""
    return (
        f"PoCL {driver} is too old (3.0 computes wrongly): install PoCL 3.1 or newer, which pip does not have"
    )


def _fault(cl: ModuleType, platform: pyopencl.Platform, handle: pyopencl.Device) -> str:
    try:
        fp64 = bool(handle.double_fp_config & cl.device_fp_config.FMA)
    except cl.Error:
        fp64 = False
    if not fp64:
        return "no double precision"
    return pocl_fault(handle.driver_version) if platform.name.strip() == _POCL else ""


@cache
def devices() -> tuple[Device, ...]:
    """Every OpenCL device here, GPUs first, then by platform and name."""
    cl = opencl()
    try:
        platforms = cl.get_platforms()
    except cl.Error:
        platforms = []
    found = []
    for platform in platforms:
        try:
            found += [(platform, handle) for handle in platform.get_devices()]
        except cl.Error:
            continue  # a platform without devices raises instead of returning none
    order = {"gpu": 0, "cpu": 1, "other": 2}
    found.sort(key=lambda pair: (order[_kind(cl, pair[1])], pair[0].name, pair[1].name))
    return tuple(
        Device(
            index=index,
            name=handle.name.strip(),
            platform=platform.name.strip(),
            driver=handle.driver_version,
            version=handle.version.strip(),
            kind=_kind(cl, handle),
            cores=handle.max_compute_units,
            fault=_fault(cl, platform, handle),
            memory=handle.global_mem_size,
            uuid=_uuid(cl, handle),
            handle=handle,
        )
        for index, (platform, handle) in enumerate(found)
    )


def _listing(found: tuple[Device, ...]) -> str:
    return "; ".join(f"{d.index}: {d.name} ({d.fault or d.kind})" for d in found) or "none"


def choose(wanted: str = "auto") -> Choice:
    """The device that ``wanted`` names; for ``auto`` the first GPU, else the CPU.

    Raises:
        DeviceError: NO_DEVICE when nothing here can be used, UNKNOWN_DEVICE when
            ``wanted`` matches none that can.
    """
    found = devices()
    able = [d for d in found if d.usable]
    if not able:
        raise DeviceError(
            "NO_DEVICE",
            f"no OpenCL device that can be used was found (devices: {_listing(found)}). "
            "Install the pinned requirements (they bring a CPU runtime) or a GPU driver; "
            "`python -m mandel doctor` shows what is seen.",
        )
    for name in wanted.split(","):
        if (choice := _choose(name.strip(), able)) is not None:
            return choice
    raise DeviceError(
        "UNKNOWN_DEVICE",
        f"no usable device matches {wanted!r}; there are: {_listing(found)}. "
        "Name one by auto, gpu, cpu, its index, part of its name, or its UUID.",
        field="device",
    )


def _choose(wanted: str, able: list[Device]) -> Choice | None:
    key = wanted.lower()
    if key in ("", "auto"):
        gpus = [d for d in able if d.is_gpu]
        if gpus:
            return Choice(gpus[0], "a GPU with double precision is preferred")
        return Choice(able[0], "no GPU with double precision here, so the CPU")
    if key in ("gpu", "cpu"):
        matches = [d for d in able if d.kind == key]
    elif key.isdigit():
        matches = [d for d in able if d.index == int(key)]
    else:
        matches = [d for d in able if key in d.name.lower() or key.replace("-", "") == d.uuid]
    return Choice(matches[0], f"chosen by the setting device={wanted}") if matches else None

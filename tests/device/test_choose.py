"""Which device is used: names, preferences, and errors that help."""

from dataclasses import replace

import pytest

from mandel.device import choose as choose_module
from mandel.device.choose import choose, devices, pocl_fault
from mandel.errors import DeviceError


def test_there_is_a_device_that_can_be_used():
    assert any(device.usable for device in devices())


def test_a_gpu_is_preferred_else_the_cpu():
    choice = choose("auto")
    gpus = [device for device in devices() if device.is_gpu and device.usable]
    assert choice.device is (gpus[0] if gpus else next(d for d in devices() if d.usable))
    assert ("GPU" if gpus else "no GPU") in choice.reason


@pytest.mark.parametrize("spelling", ["{index}", "{name}", " {part} "])
def test_a_device_by_index_or_name(spelling):
    device = next(device for device in devices() if device.usable)
    wanted = spelling.format(index=device.index, name=device.name.upper(), part=device.name[:5])
    assert choose(wanted).device is device


def test_the_first_preference_that_is_there_counts():
    device = next(device for device in devices() if device.usable)
    assert choose(f"no such thing, {device.index},auto").device is device


@pytest.mark.parametrize("wanted", ["no such thing", "99", "no, neither"])
def test_an_unknown_device_names_those_there(wanted):
    with pytest.raises(DeviceError) as caught:
        choose(wanted)
    assert caught.value.code == "UNKNOWN_DEVICE"
    assert devices()[0].name in caught.value.message


@pytest.mark.parametrize(
    "driver, used",
    [
        ("1.8", False),
        ("3.0-rc2", False),
        ("3.0", False),
        ("", False),
        ("3.1+debian", True),
        ("5.0+debian", True),
        ("7.1", True),
        ("10.0-pre", True),
    ],
)
def test_a_pocl_that_computes_wrongly_is_not_used(driver, used):
    fault = pocl_fault(driver)
    assert (fault == "") == used
    assert used or (f"PoCL {driver}" in fault and "install PoCL 3.1 or newer" in fault)


def test_a_device_with_a_fault_is_never_chosen_and_is_told_with_its_fault(monkeypatch):
    fault = pocl_fault("3.0-rc2")
    broken = replace(devices()[0], name="abacus", index=0, fault=fault)
    whole = replace(devices()[0], name="loom", index=1, fault="")
    monkeypatch.setattr(choose_module, "devices", lambda: (broken, whole))
    assert choose("auto").device is whole
    with pytest.raises(DeviceError, match=r"abacus .*install PoCL 3\.1") as caught:
        choose("abacus")
    assert caught.value.code == "UNKNOWN_DEVICE"
    monkeypatch.setattr(choose_module, "devices", lambda: (broken,))
    with pytest.raises(DeviceError, match=r"install PoCL 3\.1") as caught:
        choose("auto")
    assert caught.value.code == "NO_DEVICE"

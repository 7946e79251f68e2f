"""Which device is used: names, preferences, and errors that help."""

import pytest

from mandel.device.choose import choose, devices
from mandel.errors import DeviceError


def test_there_is_a_device_with_double_precision():
    assert any(device.fp64 for device in devices())


def test_a_gpu_is_preferred_else_the_cpu():
    choice = choose("auto")
    gpus = [device for device in devices() if device.is_gpu and device.fp64]
    assert choice.device is (gpus[0] if gpus else next(d for d in devices() if d.fp64))
    assert ("GPU" if gpus else "no GPU") in choice.reason


@pytest.mark.parametrize("spelling", ["{index}", "{name}", " {part} "])
def test_a_device_by_index_or_name(spelling):
    device = next(device for device in devices() if device.fp64)
    wanted = spelling.format(index=device.index, name=device.name.upper(), part=device.name[:5])
    assert choose(wanted).device is device


def test_the_first_preference_that_is_there_counts():
    device = next(device for device in devices() if device.fp64)
    assert choose(f"no such thing, {device.index},auto").device is device


@pytest.mark.parametrize("wanted", ["no such thing", "99", "no, neither"])
def test_an_unknown_device_names_those_there(wanted):
    with pytest.raises(DeviceError) as caught:
        choose(wanted)
    assert caught.value.code == "UNKNOWN_DEVICE"
    assert devices()[0].name in caught.value.message

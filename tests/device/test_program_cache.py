"""Compiled kernels on disk: a process that was killed holds nobody up, and damage is built again."""

import os
import subprocess
import sys

import pytest

from mandel.device import program_cache
from mandel.device.choose import choose
from mandel.device.context import DeviceContext

TEXT = "__kernel void twice(__global int *x) { x[get_global_id(0)] *= 2; }"
SCRIPT = f"""
from mandel.device.choose import choose
from mandel.device.context import DeviceContext
DeviceContext(choose("cpu").device).build({TEXT!r})
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mandel" / "programs"


def build() -> None:
    context = DeviceContext(choose("cpu").device)
    context.cl.Kernel(context.build(TEXT), "twice")


def test_a_lock_that_a_killed_process_left_holds_nobody_up(cache, tmp_path):
    """pyopencl's cache has one: builds then waited for a minute and failed."""
    built = [sys.executable, "-c", SCRIPT]
    subprocess.run(built, check=True, timeout=300)
    folders = [folder for folder in tmp_path.rglob("*") if folder.is_dir()]
    for folder in folders:
        (folder / "lock").touch()
    subprocess.run(built, check=True, timeout=50)


def test_what_is_kept_is_found_again_and_damage_is_built_anew(cache):
    build()
    [file] = cache.iterdir()
    whole = file.read_bytes()
    assert program_cache.load(file.name) == whole[32:]
    for damaged in (b"", whole[:-1], whole[:40] + b"!" + whole[41:]):
        file.write_bytes(damaged)
        assert program_cache.load(file.name) is None
        build()
        assert program_cache.load(file.name)


def test_a_binary_of_another_driver_is_built_anew(cache):
    build()
    [file] = cache.iterdir()
    program_cache.keep(file.name, b"no binary at all")
    build()
    assert program_cache.load(file.name) != b"no binary at all"


def test_a_folder_that_others_can_write_is_not_used(cache):
    build()
    [file] = cache.iterdir()
    cache.chmod(0o777)
    assert program_cache.load(file.name) is None
    file.unlink()
    build()
    assert not list(cache.iterdir())


def test_no_folder_at_all_is_no_fault(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    build()


def test_the_least_used_make_way(cache, monkeypatch):
    monkeypatch.setattr(program_cache, "_MOST", 3)
    for number, name in enumerate("abcd"):
        program_cache.keep(name, b"x")
        os.utime(cache / name, (number, number))
    program_cache.load("b")
    program_cache.keep("e", b"x")
    assert {path.name for path in cache.iterdir()} == {"d", "b", "e"}

"""The installed program: a wheel has all that it needs, far from any checkout."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mandel import VERSION
from mandel.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: object, **more: object) -> str:
    """What a program says, far from the checkout; a failure shows all of it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], env=environment, capture_output=True, text=True, timeout=300, **more
    )
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Without isolation: with the pinned hatchling of the tests' environment, and no network.
    run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The programs' folder of a fresh environment with the wheel.

    It borrows what the wheel depends on from the environment of the tests: 1.5 GB need not be installed again.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    borrowed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (Path(paths["purelib"]) / "borrowed.pth").write_text("\n".join(borrowed))
    run(*PIP, "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel)
    return folder / "bin"


def test_all_files_of_the_package_are_in_the_wheel(wheel):
    ours = {
        str(p.relative_to(ROOT)) for p in (ROOT / "mandel").rglob("*") if p.is_file() and p.suffix != ".pyc"
    }
    assert {Path(name).suffix for name in ours} >= {".py", ".cl", ".h", ".sql"}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == ours


def test_a_frame_is_rendered_without_the_checkout(installed, tmp_path):
    where = run(installed / "python", "-c", "import mandel; print(mandel.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    options = ("--point=-0.75,0.1", "--delta", "3", "--width", 64, "--height", 48, "--maxiter", 200)
    run(installed / "mandel", "still", *options, "-o", "here.png", cwd=tmp_path)
    # The same command in the checkout: the same picture.
    run(sys.executable, "-m", "mandel", "still", *options, "-o", tmp_path / "there.png", cwd=ROOT)
    picture = imageio.imread(tmp_path / "here.png")
    assert picture.shape == (48, 64, 3) and len(np.unique(picture)) > 20
    assert np.array_equal(picture, imageio.imread(tmp_path / "there.png"))


def test_one_command_has_them_all(installed, tmp_path):
    assert run(installed / "mandel", "--version", cwd=tmp_path).startswith(f"mandel {VERSION}, engine ")
    text = run(installed / "mandel", "--help", cwd=tmp_path)
    assert text.startswith("usage: mandel COMMAND") and "python" not in text
    assert all(f"\n  {name} " in text for name in COMMANDS)
    for name in ("client", "head"):
        assert run(installed / "mandel", name, "--help", cwd=tmp_path).startswith(f"usage: mandel {name} ")


def test_the_service_starts_without_the_checkout(installed, tmp_path):
    """Its migrations are there, and its driver: that finds no Ray at the port named, and is tried again."""
    head = subprocess.Popen(
        [installed / "mandel", "head", "--port", "0", "--address", "127.0.0.1:1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert head.stdout.readline().startswith("listening on 127.0.0.1:")
    finally:
        head.terminate()
        head.communicate(timeout=60)
    assert head.returncode == 0 and (tmp_path / "DB").is_dir()


def test_requirements_agree():
    def read(lines):
        named = [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip(" \n")]
        assert all(str(one.specifier).startswith("==") for one in named)
        return {
            (canonicalize_name(one.name), *sorted(one.extras), str(one.specifier), str(one.marker))
            for one in named
        }

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = (ROOT / "requirements.txt").read_text().splitlines()
    assert read(project["project"]["dependencies"]) == read(required)
    tests = (ROOT / "requirements-test.txt").read_text().splitlines()[1:]
    pinned = {(one[0], one[-2]) for one in read((ROOT / "constraints.txt").read_text().splitlines())}
    for name, *_, version, _marker in (
        read(required) | read(tests) | read(project["build-system"]["requires"])
    ):
        assert (name, version) in pinned, f"constraints.txt has another {name}"

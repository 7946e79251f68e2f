"""Kernel files made into shared objects for the host by clang, with its sanitizers.

clang reads OpenCL C as it is and makes code for the host of it; opencl.h has the built-in functions.
What is wrong in a kernel is reported with file and line of the .cl or .h it stands in.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mandel.kernels

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KERNELS = Path(mandel.kernels.__file__).parent
BUILT = ROOT / "out" / "sanitize"

SANITIZERS = "-fsanitize=address,undefined,float-cast-overflow"
# Arrays that nobody wrote hold a pattern: what depends on it differs from what the device makes.
_FLAGS = [
    "-x",
    "cl",
    "-cl-std=CL1.2",
    "-cl-no-stdinc",
    "-gline-tables-only",
    "-fPIC",
    "-fno-builtin",
    "-ffp-contract=off",
    "-ftrivial-auto-var-init=pattern",
    SANITIZERS,
    "-fno-sanitize-recover=all",
    "-Werror=implicit-function-declaration",
    "-Wno-everything",
]
# Without optimisation clang takes half a second for direct_tiles.cl, and kernels run a tenth as fast as
# with it, which takes four seconds: ten without calls for the checks of memory.
_QUICKLY_MADE = ["-O0"]
_QUICK = ["-O1", "-mllvm", "-asan-instrumentation-with-call-threshold=0"]
_INCLUDE = re.compile(r'^[ \t]*#include[ \t]+"([A-Za-z0-9_]+\.h)"[ \t]*$')
_KERNEL = re.compile(
    r"(?:__)?kernel\b(?:\s*__attribute__\s*\(\(.*?\)\)\s*(?=\w))?\s*void\s+(\w+)\s*\(([^)]*)\)", re.DOTALL
)


class CompileError(Exception):
    """clang refused a kernel: its words."""


def clang() -> str | None:
    """The compiler: $CLANG, or ``clang`` of the path; None where there is none."""
    return shutil.which(os.environ.get("CLANG", "clang"))


@cache
def runtime() -> Path | None:
    """AddressSanitizer's shared library, which must be loaded before Python; None where it is missing."""
    if clang() is None:
        return None
    asked = [
        "-fsanitize=address",
        "-shared-libasan",
        f"-print-file-name=libclang_rt.asan-{platform.machine()}.so",
    ]
    said = subprocess.run([clang(), *asked], capture_output=True, text=True, check=True).stdout.strip()
    if not Path(said).is_file():  # newer layouts name it by folder
        asked[-1] = "-print-file-name=libclang_rt.asan.so"
        said = subprocess.run([clang(), *asked], capture_output=True, text=True, check=True).stdout.strip()
    return Path(said) if Path(said).is_file() else None


def missing() -> str | None:
    """What to install, in one sentence, where the sanitizers cannot run; else None."""
    if clang() is None:
        return "The sanitizers need clang: apt-get install clang llvm, or set CLANG to its path."
    if runtime() is None:
        major = subprocess.run([clang(), "-dumpversion"], capture_output=True, text=True).stdout.split(".")[0]
        return f"The sanitizers need clang's run-time libraries: apt-get install libclang-rt-{major}-dev."
    return None


def marked(path: Path, seen: set[str] | None = None) -> str:
    """A kernel file as ``mandel.kernels.source`` has it, with marks of which file and line each line is."""
    seen = set() if seen is None else seen
    if path.name in seen:
        return ""
    seen.add(path.name)
    lines = [f'#line 1 "{path}"']
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if found := _INCLUDE.match(line):
            beside = path.parent / found[1]
            header = beside if beside.exists() else KERNELS / found[1]
            lines += [marked(header, seen), f'#line {number + 1} "{path}"']
        else:
            lines.append(line)
    return "\n".join(lines)


@dataclass(frozen=True)
class Kernel:
    """A kernel and what it takes: ``*`` for a buffer, else the number's OpenCL type."""

    name: str
    parameters: tuple[str, ...]


def _without_marks(text: str) -> str:
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def _kernels(text: str) -> list[Kernel]:
    """The kernels of a preprocessed source."""
    found = []
    for name, parameters in _KERNEL.findall(_without_marks(text)):
        words = [p.replace("*", " * ").split() for p in parameters.split(",")]
        kinds = ["*" if "*" in p else next(w for w in p if w != "const") for p in words]
        found.append(Kernel(name, tuple(kinds)))
    return found


def _items(kernels: list[Kernel]) -> str:
    """OpenCL C that runs one work item of a kernel, with arguments out of an array of 8 bytes each."""
    lines = ['#line 1 "launchers"']
    for k in kernels:
        taken = [
            f"(__global void *)argument[{at}]" if kind == "*" else f"*({kind} *)&argument[{at}]"
            for at, kind in enumerate(k.parameters)
        ]
        lines.append(f"void item_{k.name}(ulong *argument) {{ {k.name}({', '.join(taken)}); }}")
    return "\n".join(lines) + "\n"


def _run(arguments: list[str], **options) -> str:
    ran = subprocess.run([clang(), *arguments], capture_output=True, text=True, **options)
    if ran.returncode:
        raise CompileError(f"{' '.join(arguments)}\n{ran.stderr}")
    return ran.stdout


class Library:
    """One kernel file, compiled with some defines.

    Args:
        path: the .cl file.
        defines: names and values, as of ``-D``.
        quick: optimised, for much iterating.

    Raises:
        CompileError.
    """

    def __init__(self, path: Path, defines: tuple[tuple[str, object], ...] = (), quick: bool = False):
        options = [
            *_FLAGS,
            *(_QUICK if quick else _QUICKLY_MADE),
            *_host_flags(),
            *mandel.kernels.options(defines),
        ]
        text = _run(["-E", *options, "-include", str(HERE / "opencl.h"), "-"], input=marked(path))
        self.kernels = {k.name: k for k in _kernels(text)}
        self._waits = text.count("barrier(") > 1  # opencl.h declares it
        text += "\n" + _items(list(self.kernels.values()))
        self._loaded = ctypes.CDLL(str(_built(path.stem, text, options)))

    def launch(self, name: str, arguments, first, size, group) -> None:
        """Runs the work items of a kernel from ``first`` to below ``size``; those of a group wait for each other.

        Args:
            arguments, first, size, group: ctypes arrays of c_uint64.
        """
        item = getattr(self._loaded, f"item_{name}")
        self._loaded.run_work_items(item, arguments, first, size, group, int(self._waits))


def _host_flags() -> list[str]:
    """A fused multiply-add is one instruction where the host has it, else a slow call."""
    return ["-march=native"] if platform.machine() in ("x86_64", "AMD64") else []


@cache
def _version() -> str:
    """Compiler and processor: what is built for one is not for another."""
    flags = [*_host_flags(), "-E", "-dM", "-x", "c", "/dev/null"]
    return _run(["--version"]) + _run(flags) + (HERE / "work_items.c").read_text()


def _built(stem: str, text: str, options: list[str]) -> Path:
    """The shared object of a preprocessed source, made once for each text, compiler and processor."""
    key = hashlib.sha256("\n".join([_version(), *options, text]).encode()).hexdigest()[:24]
    made = BUILT / f"{stem}-{key}.so"
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / f"{stem}-{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            source, part = (BUILT / f"{stem}-{key}.{end}" for end in ("i", "o"))
            source.write_text(text)
            _run([*options, "-c", str(source), "-o", str(part)])
            draft = BUILT / f"{stem}-{key}.draft"
            _run(
                [
                    "-shared",
                    "-O1",
                    "-fPIC",
                    str(part),
                    "-x",
                    "c",
                    str(HERE / "work_items.c"),
                    "-lm",
                    "-o",
                    str(draft),
                ]
            )
            draft.replace(made)
            source.unlink()
            part.unlink()
    return made

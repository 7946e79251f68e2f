"""Makes OpenCL available without any environment variable, then imports pyopencl.

The Intel CPU runtime comes with pip but registers nothing: its .icd file names
a path that does not exist and its libraries are outside the loader's search
path. So, before pyopencl is imported, the libraries it needs are loaded from
the virtual environment and an .icd of our own is offered to the loader beside
the system's. A loader directory chosen by the user (OCL_ICD_VENDORS) wins.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

SYSTEM_VENDORS = Path("/etc/OpenCL/vendors")
_NEEDED = (
    "libintlc.so.5",
    "libimf.so",
    "libirng.so",
    "libsvml.so",
    "libtbb.so.12",
    "libtbbmalloc.so.2",
)


def bundled_runtime() -> Path | None:
    """Path of the pip-installed Intel CPU runtime, or None.

    pip knows where it put it: not below ``sys.prefix``, where the packages of a user or another environment are used.
    """
    try:
        files = distribution("intel-opencl-rt").files or []
    except PackageNotFoundError:
        return None
    libraries = (Path(str(file.locate())).resolve() for file in files if file.name == "libintelocl.so")
    return next((library for library in libraries if library.exists()), None)


def _vendor_folder(runtime: Path) -> str:
    """A folder of .icd files: our CPU runtime and the system's drivers.

    The system's PoCL or Intel runtime stays out: two CPU runtimes bring two
    LLVMs into one process, which crashes while building. The loader runs what
    the folder names: it is made here, so that nobody else can have put anything in.
    """
    folder = Path(tempfile.mkdtemp(prefix="mandel-opencl-"))
    (folder / "mandel-cpu.icd").write_text(f"{runtime}\n")
    if SYSTEM_VENDORS.is_dir():
        for icd in SYSTEM_VENDORS.glob("*.icd"):
            text = icd.read_text(errors="replace")
            if "pocl" not in (icd.name + text).lower() and "intelocl" not in text:
                (folder / icd.name).write_text(text)
    return str(folder)


@cache
def opencl() -> ModuleType:
    """The pyopencl module, with the bundled CPU runtime registered.

    Must be called after any fork: an OpenCL context made before a fork hangs in
    the child.
    """
    folder = None
    runtime = bundled_runtime()
    if "OCL_ICD_VENDORS" not in os.environ and runtime is not None:
        for name in _NEEDED:
            library = runtime.parent / name
            if library.exists():
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        folder = os.environ["OCL_ICD_VENDORS"] = _vendor_folder(runtime)
    import pyopencl as cl
    import pyopencl.characterize
    import pyopencl.tools  # memory pools

    try:
        cl.get_platforms()  # the loader reads the folder now
    except cl.Error:
        pass  # no platform at all: choose.devices() says so in words
    if folder is not None:
        del os.environ["OCL_ICD_VENDORS"]
        shutil.rmtree(folder, ignore_errors=True)
    warnings.filterwarnings("ignore", category=cl.CompilerWarning)
    return cl

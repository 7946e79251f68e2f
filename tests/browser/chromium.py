"""The tests' Chromium, and axe, which looks for barriers: where they are, and how ``make browser`` gets them.

Nothing here needs root. The browser is looked for in this order: the path in MANDEL_CHROMIUM; what ``make browser``
brought; ``chromium`` and its like on PATH; Playwright's own.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HOME = Path(sys.prefix) / "chromium"  # in the virtual environment: `make clean` removes it
AXE = HOME.with_name("axe.min.js")
# Packages of npm, and the digest of what npm gave when this was written.
CHROMIUM_PACKAGE = (
    "@sparticuz/chromium@153.0.0",
    "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
)
AXE_PACKAGE = (
    "axe-core@4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "chrome")
ABSENT = "no Chromium: `make browser` brings one, without root"
NO_AXE = "no axe-core: `make browser` brings it, if npm is here"
# Chromium does not start its sandbox as root, nor in most containers; pages here are our own.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    # Nothing leaves this machine: every name but the tests' own is unknown.
    "--host-resolver-rules=MAP head.lan 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)


def find(own: str | None = None) -> Path | None:
    """The Chromium to test with, or None.

    Args:
        own: where Playwright would have its own.
    """
    if named := os.environ.get("MANDEL_CHROMIUM"):
        return Path(named)
    if (HOME / "chromium").exists():
        return HOME / "chromium"
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return Path(own) if own and Path(own).exists() else None


def environment() -> dict[str, str]:
    """The browser's environment: what ``make browser`` brought has some libraries beside it."""
    libraries = f"{HOME / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    return {**os.environ, "LD_LIBRARY_PATH": libraries}


def _unpack(packed: Path, to: Path) -> None:
    """Undoes Brotli with the Node that Playwright brings."""
    import playwright

    node = Path(playwright.__file__).parent / "driver/node"
    script = (
        "const [from, to] = process.argv.slice(1), fs = require('fs');"
        "require('stream').pipeline(fs.createReadStream(from), require('zlib').createBrotliDecompress(),"
        " fs.createWriteStream(to), error => process.exit(error ? 1 : 0))"
    )
    subprocess.run([node, "-e", script, packed, to], check=True)


def _extract(packed: Path, to: Path) -> None:
    """Without what leaves the folder, where this Python can tell: 3.11.4 and newer. The package's digest is proven."""
    with tarfile.open(packed) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(to)


def _from_npm(package: tuple[str, str], folder: Path) -> Path:
    """The unpacked folder of a package, its digest proven."""
    name, digest = package
    print(f"Getting {name} ...", flush=True)
    subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    packed = next(folder.glob("*.tgz"))
    if base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() != digest:
        sys.exit(f"{name} is not what it was when this program was written; it is not used.")
    _extract(packed, folder)
    return folder / "package"


def _get_chromium(folder: Path) -> None:
    """70 MB, 210 MB unpacked: the browser, the libraries that it needs, a font."""
    package, ready = _from_npm(CHROMIUM_PACKAGE, folder), folder / "ready"
    ready.mkdir()
    _unpack(package / "bin/chromium.br", ready / "chromium")
    (ready / "chromium").chmod(0o755)
    for name in ("al2023", "fonts", "swiftshader"):
        _unpack(package / f"bin/{name}.tar.br", folder / f"{name}.tar")
        _extract(folder / f"{name}.tar", ready)
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.move(ready, HOME)


def main() -> int:
    """Gets what is not here. Returns the exit code."""
    with_npm = shutil.which("npm") is not None
    if find() is None and not with_npm:
        print("There is no npm; Playwright gets its own Chromium ...", flush=True)
        command = [sys.executable, "-m", "playwright", "install", "chromium", "--only-shell"]
        return subprocess.run(command).returncode
    if find() is None:
        with tempfile.TemporaryDirectory() as folder:
            _get_chromium(Path(folder))
    if not AXE.exists() and with_npm:
        with tempfile.TemporaryDirectory() as folder:
            shutil.move(_from_npm(AXE_PACKAGE, Path(folder)) / "axe.min.js", AXE)
    print(f"Chromium is here: {find()}" if find() else ABSENT)
    print(f"axe is here: {AXE}" if AXE.exists() else NO_AXE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

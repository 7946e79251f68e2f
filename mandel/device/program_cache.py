"""Keeps compiled kernels on disk, since building one takes seconds on CPUs.

pyopencl's own cache has one lock file for all programs. A process that is killed while it holds the lock
leaves it behind, and every later build on the machine waits a minute and fails. This cache has no locks: a file is
written under another name and then renamed. A damaged file is ignored, and its program is built again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mandel.device.choose import Device
from mandel.device.tuning import folder

# Programs that are kept; each variant of a kernel is one, of about 100 kB.
_MOST = 1_000
_DIGEST = hashlib.sha256().digest_size


def key(device: Device, text: str, options: Sequence[str]) -> str:
    """The name under which the program built from ``text`` with ``options`` on ``device`` is kept: SHA-256, hex."""
    facts = [device.platform, device.name, device.version, device.driver, *options, text]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def load(name: str) -> bytes | None:
    """The binary that ``keep`` stored, if it is there and whole."""
    try:
        with open(_folder() / name, "rb") as file:
            data = file.read()
            os.utime(file.fileno())  # the last used stay
    except OSError:
        return None
    digest, binary = data[:_DIGEST], data[_DIGEST:]
    return binary if hashlib.sha256(binary).digest() == digest else None


def keep(name: str, binary: bytes) -> None:
    """Stores a binary; where the disk does not allow it, the next process builds again."""
    try:
        root = _folder()
        fd, draft = tempfile.mkstemp(prefix="new-", dir=root)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(hashlib.sha256(binary).digest() + binary)
            os.replace(draft, root / name)
        except BaseException:
            os.unlink(draft)
            raise
        _make_room(root)
    except OSError:
        pass


def _folder() -> Path:
    """The cache's folder. Its files are run, so nobody else may be able to write there.

    Raises:
        OSError: it cannot be made, or is not only this user's.
    """
    root = folder() / "programs"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = root.lstat()
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise PermissionError(1, "others can write there", str(root))
    return root


def _make_room(root: Path) -> None:
    files = sorted(root.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in files[:-_MOST]:
        path.unlink(missing_ok=True)

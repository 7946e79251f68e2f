"""The frames of a film of codec png as files: its packets are whole PNG files, so they are cut out of it."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from struct import error as StructError
from struct import unpack_from

from mandel.errors import TransferError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_folder(folder: Path) -> None:
    """Checks that frames can be put into ``folder``, before any work is done for it.

    Raises:
        TransferError: BAD_OUTPUT.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TransferError(
            "BAD_OUTPUT", f"{folder} is there and not an empty folder; name another with --frames"
        )
    if not folder.absolute().parent.is_dir() or not os.access(folder.absolute().parent, os.W_OK | os.X_OK):
        raise TransferError("BAD_OUTPUT", f"{folder.absolute().parent} is no folder that can be written to")


def write(film: Path, folder: Path) -> int:
    """Writes all frames of ``film`` to ``folder``: frame-00000.png and so on. The folder is absent or complete.

    Returns:
        The number of frames.

    Raises:
        TransferError: STORE_FAILED.
    """
    made = None
    try:
        made = Path(tempfile.mkdtemp(prefix=".frames-", dir=folder.absolute().parent))
        number = 0
        with film.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for number, (begin, end) in enumerate(_pictures(data), 1):
                (made / f"frame-{number - 1:05d}.png").write_bytes(data[begin:end])
        made.chmod(0o755)
        made.rename(folder)
    except (OSError, ValueError, StructError) as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise TransferError("STORE_FAILED", f"the frames could not be written to {folder}: {error}") from None
    return number


def _pictures(data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Begin and end of each PNG file, in order."""
    begin = data.find(_SIGNATURE)
    while begin >= 0:
        end, kind = begin + len(_SIGNATURE), b""
        while kind != b"IEND":
            length, kind = unpack_from(">I4s", data, end)
            end += 12 + length
        yield begin, end
        begin = data.find(_SIGNATURE, end)

"""The frames of a film of codec png, whose packets are whole PNG files: as files of their own, or on one sheet."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import error as StructError
from struct import pack, unpack_from

from mandel.errors import TransferError

_GAP = 4  # pixels between the frames of a sheet
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


def sheet(film: Path, comment: str) -> bytes:
    """All frames of ``film``, of 8 bits, side by side in rows: the bytes of a PNG file that carries ``comment``.

    Raises:
        TransferError: STORE_FAILED: the film cannot be read, or has no such frames.
    """
    try:
        with film.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            frames = [_rows(data[begin:end]) for begin, end in _pictures(data)]
        width, height = len(frames[0][0]) // 3, len(frames[0])
        # About as wide as a screen of 16:9, but with no row nearly empty.
        columns = min(
            range(1, len(frames) + 1), key=lambda n: (_unlike_a_screen(n, len(frames), width, height), -n)
        )
        blank, gap = bytes(3 * width), bytes(3 * _GAP)
        rows: list[bytes] = []
        for first in range(0, len(frames), columns):
            line = frames[first : first + columns]
            rows += [bytes(3 * (columns * (width + _GAP) - _GAP))] * (_GAP if first else 0)
            rows += [
                gap.join([*(frame[y] for frame in line), *[blank] * (columns - len(line))])
                for y in range(height)
            ]
    except (OSError, ValueError, IndexError, StructError, zlib.error) as error:
        raise TransferError("STORE_FAILED", f"the frames of {film} cannot be read: {error}") from None
    head = pack(">2I5B", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    text = b"Comment\0" + comment.encode("latin-1")
    chunks = (b"IHDR", head), (b"tEXt", text), (b"IDAT", pixels), (b"IEND", b"")
    return _SIGNATURE + b"".join(
        pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _unlike_a_screen(columns: int, count: int, width: int, height: int) -> float:
    lines = -(-count // columns)
    return abs(columns * width * 9 - lines * height * 16) + 8 * width * (lines * columns - count)


def _rows(png: bytes) -> list[bytes]:
    """The rows of a PNG file of 8-bit RGB, each predicted from its own left neighbours or not at all."""
    width, height, depth, colours = unpack_from(">2I2B", png, 16)
    at, packed = len(_SIGNATURE), b""
    while at < len(png):
        length, kind = unpack_from(">I4s", png, at)
        packed += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    data, step = zlib.decompress(packed), 1 + 3 * width
    lines = [data[y * step : (y + 1) * step] for y in range(height)]
    if (depth, colours) != (8, 2) or any(len(line) != step or line[0] > 1 for line in lines):
        raise ValueError("they are PNG files of another kind")
    return [_summed(line[1:]) if line[0] else line[1:] for line in lines]


def _summed(row: bytes) -> bytes:
    whole = bytearray(len(row))
    for channel in range(3):
        left = 0
        for at in range(channel, len(row), 3):
            whole[at] = left = left + row[at] & 255
    return bytes(whole)

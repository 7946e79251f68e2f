"""Packs a strip's raw samples into bytes, from which it can be coloured again without iterating.

Counts and fractions are always packed. Slopes and distances, a byte each, are packed only where a look needs dz/dc:
computing them would double the cost of iterating for all others. Fractions are rounded to 1/4096 in every strip, packed
or not, slopes to 1/256 of a turn and distances to 1/16 octave. So colouring unpacked samples gives the same texels. The
differences of neighbouring samples are compressed plane by plane, by zlib's run lengths and Huffman codes
(docs/sampling.md has bytes and times).
"""

from __future__ import annotations

import math
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mandel.device.context import Buffer, DeviceContext
from mandel.errors import RenderError
from mandel.kernels.contract import DISTANCE_LEAST, DISTANCE_STEPS, FRACTION_BITS, RAW_PLANES
from mandel.render.samples import Samples
from mandel.tasks.units import RAW_PLAIN, RAW_SHADED

STEPS = 1 << FRACTION_BITS  # of a fraction

# Pieces that took less time to iterate are not kept: iterating again is faster than writing a file.
_LEAST_SECONDS = 0.02

_FILE = "raw_strip.cl"
_HEADER = struct.Struct("<8sqiI")  # RAW_PLAIN or RAW_SHADED, maxiter, least fraction in steps, chunks
# By how a strip begins: row, col, rows, cols; compressed bytes of each plane.
_CHUNKS = {
    RAW_PLAIN: struct.Struct(f"<4I{RAW_PLANES}Q"),
    RAW_SHADED: struct.Struct(f"<4I{RAW_PLANES + 2}Q"),
}
_TURNS = np.arange(256) * (2 * np.pi / 256)
_DIRECTIONS = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1).astype(np.float32)
_DISTANCES = np.exp2((np.arange(256) + DISTANCE_LEAST) / DISTANCE_STEPS).astype(np.float32)


def least_fraction(bailout: float) -> int:
    """The least fraction of samples that escaped, in units of 1 / STEPS; the largest is STEPS - 1 more."""
    return round(STEPS * (1 - math.log2(2 * math.log(bailout))))


def round_fractions(ctx: DeviceContext, samples: Samples, bailout: float) -> None:
    """Rounds the samples' fractions, on the device; enqueued, not waited for."""
    ctx.kernel(_FILE, "round_fractions")(
        ctx.queue,
        (samples.rows * samples.cols,),
        None,
        samples.count,
        samples.frac,
        np.int32(samples.maxiter),
        np.int32(least_fraction(bailout)),
    )


def codes_of(ctx: DeviceContext, samples: Samples) -> Buffer | None:
    """The codes of the samples' slopes and distances, two bytes a sample, on the device; None if they have none.

    The samples' own slopes and distances are rounded to what their codes mean. Enqueued, not waited for.
    """
    if samples.slope is None or samples.distance is None:
        return None
    n = samples.rows * samples.cols
    codes = ctx.empty(2 * n)
    ctx.kernel(_FILE, "derivative_codes")(ctx.queue, (n,), None, samples.distance, samples.slope, codes)
    _decode(ctx, samples, codes)
    return codes


def _decode(ctx: DeviceContext, samples: Samples, codes: Buffer) -> None:
    ctx.kernel(_FILE, "from_codes")(
        ctx.queue,
        (samples.rows * samples.cols,),
        None,
        codes,
        ctx.upload(_DIRECTIONS),
        ctx.upload(_DISTANCES),
        samples.distance,
        samples.slope,
    )


class Rectangle(NamedTuple):
    """Where a piece lies in its strip's finest level."""

    row: int
    col: int
    rows: int
    cols: int


@dataclass(frozen=True)
class Piece:
    """Samples on a device, and the row and column of the strip's finest level at which they begin."""

    row: int
    col: int
    samples: Samples


class RawStripWriter:
    """Packs a strip's samples, whose fractions are rounded, piece by piece.

    Args:
        maxiter, bailout: what the samples were iterated with.
        pace: the samples are kept if iterating took at least so many seconds a sample; the first piece
            decides. 0: always.
    """

    def __init__(self, maxiter: int, bailout: float, pace: float = 0.0):
        self._maxiter, self._low, self._pace = maxiter, least_fraction(bailout), pace
        self._begins = RAW_PLAIN
        self._heads: list[bytes] = []
        self._planes: list[bytes] = []
        self.wanted = True

    def take(
        self,
        ctx: DeviceContext,
        samples: Samples,
        row: int,
        col: int,
        begun: float,
        codes: Buffer | None = None,
    ) -> None:
        """Packs one piece, unless iterating was quick; waits for it.

        Args:
            codes: what ``codes_of`` gave; of all pieces or of none.
            begun: time.monotonic() when iterating the piece began.
        """
        ctx.wait(ctx.cl.enqueue_marker(ctx.queue))
        n = samples.rows * samples.cols
        if self._pace and not self._heads:
            self.wanted = time.monotonic() - begun >= max(self._pace * n, _LEAST_SECONDS)
        if not self.wanted:
            return
        buffer = ctx.empty(RAW_PLANES * n)
        ctx.kernel(_FILE, "differences")(
            ctx.queue, (samples.cols, samples.rows), None, samples.count, samples.frac, buffer
        )
        planes = ctx.download(buffer, np.empty((RAW_PLANES, n), np.uint8))
        packed = [_compressed(plane) for plane in planes]
        if codes is not None:
            self._begins = RAW_SHADED
            rows = ctx.download(codes, np.empty((2, samples.rows, samples.cols), np.uint8))
            packed += [_compressed(np.diff(plane, axis=1, prepend=np.uint8(0)).ravel()) for plane in rows]
        self._heads.append(
            _CHUNKS[self._begins].pack(row, col, samples.rows, samples.cols, *map(len, packed))
        )
        self._planes += packed

    def data(self) -> bytes | None:
        """The strip's bytes; None if they are not worth keeping."""
        if not self.wanted:
            return None
        header = _HEADER.pack(self._begins, self._maxiter, self._low, len(self._heads))
        return b"".join([header, *self._heads, *self._planes])


class RawStrip:
    """Reads the bytes that a ``RawStripWriter`` made.

    Attributes:
        maxiter: what the counts were limited to.

    Raises:
        RenderError: BAD_STRIP; also while its pieces are read.
    """

    def __init__(self, data: bytes | memoryview | np.ndarray):
        self._data = memoryview(data.data if isinstance(data, np.ndarray) else data).cast("B")
        try:
            begins, self.maxiter, self._low, chunks = _HEADER.unpack_from(self._data)
            if begins not in _CHUNKS:
                raise _bad("it is of another version")
            at, self._chunk = _HEADER.size, _CHUNKS[begins]
            self._chunks = [
                self._chunk.unpack_from(self._data, at + k * self._chunk.size) for k in range(chunks)
            ]
        except struct.error as error:
            raise _bad(error) from error

    @property
    def places(self) -> list[Rectangle]:
        """The rectangles that the pieces cover."""
        return [Rectangle(*chunk[:4]) for chunk in self._chunks]

    def pieces(self, ctx: DeviceContext) -> Iterator[Piece]:
        """The samples, piece by piece, on a device."""
        at = _HEADER.size + len(self._chunks) * self._chunk.size
        for row, col, rows, cols, *lengths in self._chunks:
            zigzag = np.zeros(rows * cols, np.uint64 if any(lengths[4:RAW_PLANES]) else np.uint32)
            for k, length in enumerate(lengths[:RAW_PLANES]):
                if length:
                    plane = _expanded(self._data[at : at + length], rows * cols)
                    zigzag |= np.left_shift(plane, 8 * k, dtype=zigzag.dtype)
                    at += length
            signs = zigzag & zigzag.dtype.type(1)
            zigzag >>= zigzag.dtype.type(1)
            zigzag ^= np.negative(signs, out=signs)
            differences = zigzag.view(f"i{zigzag.itemsize}").reshape(rows, cols)
            numbers = np.cumsum(differences, 0, np.int64)
            np.cumsum(numbers, 1, out=numbers)
            samples = self._split(ctx, numbers)
            if len(lengths) > RAW_PLANES:
                codes = np.zeros((2, rows, cols), np.uint8)
                for plane, length in zip(codes, lengths[RAW_PLANES:], strict=True):
                    if length:
                        steps = _expanded(self._data[at : at + length], rows * cols).reshape(rows, cols)
                        np.cumsum(steps, axis=1, dtype=np.uint8, out=plane)
                        at += length
                n = rows * cols
                samples = replace(samples, distance=ctx.empty(4 * n), slope=ctx.empty(8 * n))
                _decode(ctx, samples, ctx.upload(codes))
            yield Piece(row, col, samples)

    def _split(self, ctx: DeviceContext, numbers: np.ndarray) -> Samples:
        rows, cols = numbers.shape
        samples = Samples(rows, cols, self.maxiter, ctx.empty(4 * numbers.size), ctx.empty(4 * numbers.size))
        ctx.kernel(_FILE, "split")(
            ctx.queue,
            (numbers.size,),
            None,
            ctx.upload(numbers),
            np.int32(self.maxiter),
            np.int32(self._low),
            samples.count,
            samples.frac,
        )
        return samples


def _compressed(plane: np.ndarray) -> bytes:
    """The plane, compressed; no bytes for a plane of zeros."""
    if not plane.any():
        return b""
    # Run lengths only: searching for longer matches takes twice the time and finds nothing more in differences.
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return packer.compress(plane.data) + packer.flush()


def _expanded(data: memoryview, size: int) -> np.ndarray:
    try:
        plane = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
    except zlib.error as error:
        raise _bad(error) from error
    if len(plane) != size:
        raise _bad(f"{len(plane)} bytes instead of {size}")
    return np.frombuffer(plane, np.uint8)


def _bad(why: object) -> RenderError:
    return RenderError("BAD_STRIP", f"a kept strip cannot be read: {why}")

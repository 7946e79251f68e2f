"""Raw samples to bytes and back, on whatever device there is."""

import time
from dataclasses import replace

import numpy as np
import pytest

from mandel.device.context import device_context
from mandel.errors import RenderError
from mandel.render.raw_strip import STEPS, RawStrip, RawStripWriter, codes_of, least_fraction, round_fractions
from mandel.render.samples import Samples

BAILOUT = 1024.0


def samples(ctx, maxiter: int, rows: int = 24, cols: int = 40, seed: int = 1) -> Samples:
    """Counts up to the limit, fractions all over their range and a little beyond, some interior."""
    random = np.random.default_rng(seed)
    count = random.integers(1, maxiter, (rows, cols), endpoint=True).astype(np.int32)
    low = least_fraction(BAILOUT) / STEPS
    frac = (low + random.random((rows, cols)) * 1.001).astype(np.float32)
    interior = random.random((rows, cols)) < 0.2
    count[interior], frac[interior] = maxiter + 1, 0
    made = Samples(rows, cols, maxiter, ctx.empty(count.nbytes), ctx.empty(frac.nbytes))
    for buffer, array in ((made.count, count), (made.frac, frac)):
        ctx.wait(ctx.cl.enqueue_copy(ctx.queue, buffer, array))
    return made


def arrays(ctx, made: Samples) -> tuple[np.ndarray, np.ndarray]:
    shape = made.rows, made.cols
    return ctx.download(made.count, np.empty(shape, np.int32)), ctx.download(
        made.frac, np.empty(shape, np.float32)
    )


def packed(ctx, *pieces: Samples, pace: float = 0.0) -> bytes | None:
    writer, row = RawStripWriter(pieces[0].maxiter, BAILOUT, pace), 0
    for piece in pieces:
        round_fractions(ctx, piece, BAILOUT)
        writer.take(ctx, piece, row, 3, time.monotonic())
        row += piece.rows
    return writer.data()


@pytest.mark.parametrize("maxiter", [1, 1000, 2_000_000_000])
def test_what_was_packed_comes_back(maxiter):
    ctx = device_context()
    pieces = [samples(ctx, maxiter), samples(ctx, maxiter, rows=7, seed=2)]
    before = [arrays(ctx, piece) for piece in pieces]
    raw = RawStrip(packed(ctx, *pieces))
    assert raw.maxiter == maxiter and [place.row for place in raw.places] == [0, 24]
    for piece, made, (count, frac) in zip(raw.pieces(ctx), pieces, before, strict=True):
        back, finished_on_error = arrays(ctx, piece.samples), arrays(ctx, made)
        assert (back[0] == count).all() and (back[1] == finished_on_error[1]).all() and piece.col == 3
        assert np.abs(back[1] - frac).max() < 0.002  # a thousandth lay beyond the range
        assert (back[1][count > maxiter] == 0).all()


def test_slopes_and_distances_come_back_as_they_were_rounded():
    ctx, made = device_context(), samples(device_context(), 1000)
    random = np.random.default_rng(3)
    angle = random.random((made.rows, made.cols)) * 2 * np.pi
    slope = np.stack([np.cos(angle), np.sin(angle)], axis=2).astype(np.float32)
    distance = np.exp2(random.uniform(-10, 12, angle.shape)).astype(np.float32)
    slope[0, 0], distance[0, 0] = 0, 0
    made = replace(made, slope=ctx.upload(slope), distance=ctx.upload(distance))
    writer = RawStripWriter(1000, BAILOUT)
    round_fractions(ctx, made, BAILOUT)
    writer.take(ctx, made, 0, 3, time.monotonic(), codes_of(ctx, made))
    data = writer.data()
    (piece,) = RawStrip(data).pieces(ctx)
    found = []
    for it in (made, piece.samples):
        found.append((
            ctx.download(it.slope, np.empty_like(slope)), ctx.download(it.distance, np.empty_like(distance))
        ))  # fmt: skip
    assert all((a == b).all() for a, b in zip(*found, strict=True))
    assert all((a == b).all() for a, b in zip(arrays(ctx, made), arrays(ctx, piece.samples), strict=True))
    slopes, distances = found[1]
    assert (slope * slopes).sum(axis=2).ravel()[1:].min() > np.cos(1.01 * np.pi / 256)
    within = (distance > 1 / 64) & (distance < 900)
    assert np.abs(np.log2(distances[within] / distance[within])).max() < 1.01 / 32
    assert distances[~within & (distance < 1)].max() <= 1 / 63 and distances.max() < 1024
    with pytest.raises(RenderError):
        list(RawStrip(data[:-5]).pieces(ctx))


def test_smooth_samples_take_few_bytes():
    ctx = device_context()
    made = samples(ctx, 1000, 128, 128)
    y, x = np.mgrid[:128, :128]
    count = (20 + x // 16 + y // 16).astype(np.int32)
    frac = (least_fraction(BAILOUT) / STEPS + (x % 16 + y % 16) / 32).astype(np.float32)
    for buffer, array in ((made.count, count), (made.frac, frac)):
        ctx.wait(ctx.cl.enqueue_copy(ctx.queue, buffer, array))
    assert len(packed(ctx, made)) < 0.6 * count.size


def test_quick_iterating_is_not_worth_bytes():
    ctx = device_context()
    assert packed(ctx, samples(ctx, 1000), pace=1.0) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:20],
        lambda data: data[:-5],
        lambda data: b"another\0" + data[8:],
        lambda data: data[:-200] + b"\xff" * 200,
    ],
)
def test_damage_is_an_error_with_a_name(damage):
    ctx = device_context()
    data = packed(ctx, samples(ctx, 1000))
    with pytest.raises(RenderError) as failure:
        for _ in RawStrip(damage(data)).pieces(ctx):
            pass
    assert failure.value.code == "BAD_STRIP"

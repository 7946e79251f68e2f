"""The painter against the colouring in plain numpy, and against facts of colour."""

import numpy as np
import pytest

from mandel.colour import palette_table, palettes, transfer
from mandel.colour.curve import even_curve
from mandel.colour.mappings import Knot
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.errors import RenderError
from mandel.plan.picture import LAYOUTS, RGB, RGB10, YUV420
from mandel.render import painter as painting
from mandel.render.painter import Painter
from mandel.render.samples import Samples
from tests.support import colour_oracle

MAXITER = 1000


@pytest.fixture(scope="module")
def ctx():
    return device_context("cpu")


@pytest.fixture(scope="module")
def painter(ctx):
    return Painter(ctx)


CURVE = even_curve([(1, 3, 9, 27, 300), (250, 300, 320, 400, 900)])


class Raw:
    """Random samples, on the host and on the device."""

    def __init__(self, ctx, rows, cols, seed=1, maxiter=MAXITER, lowest=1):
        rng = np.random.default_rng(seed)
        self.count = rng.integers(lowest, maxiter + 2, (rows, cols)).astype(np.int32)
        inside = self.count > maxiter
        self.frac = np.where(inside, 0, rng.random((rows, cols))).astype(np.float32)
        angle = rng.random((rows, cols)) * 2 * np.pi
        self.slope = np.where(inside[..., None], 0, np.stack([np.cos(angle), np.sin(angle)], -1))
        self.slope = self.slope.astype(np.float32)
        self.distance = np.where(inside, 0, rng.random((rows, cols)) * 4).astype(np.float32)
        self.maxiter = maxiter
        self.ctx = ctx

    @property
    def samples(self):
        rows, cols = self.count.shape
        values = map(self.ctx.upload, (self.count, self.frac, self.distance, self.slope))
        return Samples(rows, cols, self.maxiter, *values)

    def picture(self, style, n, layout):
        """What the oracle makes of it."""
        colours = colour_oracle.linear(
            style, self.count, self.frac, self.maxiter, self.distance, self.slope, n
        )
        averaged = colour_oracle.average(colours, n)
        return getattr(colour_oracle, layout)(averaged)


def levels(a, b):
    if a.ndim == 3 and a.shape[2] == 4:
        a, b = (colour_oracle.channels(picture) for picture in (a, b))
    return np.abs(a.astype(int) - b.astype(int)).max()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "style",
    [
        ColourStyle(),
        ColourStyle(relief=0.7, relief_angle=30),
        ColourStyle(edge=1.5),
        ColourStyle(relief=1, edge=3),
        ColourStyle(interior="8090ff"),
        ColourStyle(interior="8090ff", relief=1, edge=3),
        ColourStyle("204060,ffe0a0"),
        ColourStyle(mapping="linear", density=0.013, offset=-2),
        ColourStyle(mapping="log", density=0.7, offset=0.1),
        ColourStyle(mapping="even", density=1.5, offset=0.3, curve=CURVE),
        ColourStyle(mapping="even", density=1, offset=0, curve=CURVE[:1], relief=0.5),
    ],
)
def test_within_one_level_of_the_oracle(ctx, painter, style, n, layout):
    raw = Raw(ctx, 38 * n, 70 * n, seed=n)
    most = 2 if layout == RGB10 else 1  # of 1023: a canvas rounds down
    assert levels(painter.paint(raw.samples, style, n, layout), raw.picture(style, n, layout)) <= most


@pytest.mark.parametrize("palette", palettes.NAMES)
def test_every_palette(ctx, painter, palette):
    raw = Raw(ctx, 64, 64)
    style = ColourStyle(palette=palette, density=0.4, offset=-3.3)
    assert levels(painter.paint(raw.samples, style), raw.picture(style, 1, RGB)) <= 1


def test_counts_of_deep_views(ctx, painter):
    raw = Raw(ctx, 64, 64, maxiter=60_000, lowest=30_000)
    assert levels(painter.paint(raw.samples, ColourStyle()), raw.picture(ColourStyle(), 1, RGB)) <= 1


def test_counts_where_a_float_has_no_fraction_left(ctx, painter):
    """The curve is steep where counts of a billion differ by ten: colours still run on."""
    curve = (Knot(0, 0.0, 1e-9), Knot(10**9, 1.25, 0.05), Knot(10**9 + 20, 2.25, 1e-9))
    style = ColourStyle(mapping="even", density=1.0, offset=0.0, curve=curve)
    steps = np.arange(20 * 64)
    count, frac = (10**9 + steps // 64).astype(np.int32), (steps % 64 / 64).astype(np.float32)
    out = painter.paint(Samples(1, steps.size, 2 * 10**9, ctx.upload(count), ctx.upload(frac)), style)
    want = colour_oracle.rgb(colour_oracle.linear(style, count[None], frac[None], 2 * 10**9))
    assert levels(out, want) <= 1 and len(np.unique(out.reshape(-1, 3), axis=0)) > 200


def test_the_interior_is_black(ctx, painter):
    samples = Samples(
        4, 6, 50, ctx.upload(np.full((4, 6), 51, np.int32)), ctx.upload(np.zeros((4, 6), np.float32))
    )
    assert not painter.paint(samples, ColourStyle()).any()
    yuv = painter.paint(samples, ColourStyle(), layout=YUV420)
    assert (yuv[:4] == 16).all() and (yuv[4:] == 128).all()


@pytest.mark.parametrize("frac", [-50.0, 0.0, 1e30])
def test_samples_far_out_are_coloured_too(ctx, painter, frac):
    """Where |c| exceeds the bailout by far, count + frac is negative."""
    samples = Samples(
        2, 2, 50, ctx.upload(np.full((2, 2), 1, np.int32)), ctx.upload(np.full((2, 2), frac, np.float32))
    )
    assert painter.paint(samples, ColourStyle()).shape == (2, 2, 3)


def flat(monkeypatch, ctx, colours):
    """A painter whose only palette holds ``colours`` (k, 3), linear; sample count k has colour k - 1."""
    k = len(colours)
    table = np.repeat(np.asarray(colours, np.float32), 64, axis=0)
    monkeypatch.setattr(palette_table, "colour_table", lambda name: table)
    count = np.arange(1, k + 1, dtype=np.int32)
    # sqrt(mu) * density is the middle of each colour's stretch.
    frac = (((count - 0.5) / k) ** 2 - count).astype(np.float32)
    return Painter(ctx), count, frac, ColourStyle(density=1.0, offset=0.0)


def test_grey_ramp_comes_out_as_it_went_in(monkeypatch, ctx):
    grey = np.arange(256)
    ramp = np.repeat(transfer.decode_srgb(grey / 255)[:, None], 3, axis=1)
    own, count, frac, style = flat(monkeypatch, ctx, ramp)
    out = own.paint(Samples(1, 256, 1000, ctx.upload(count), ctx.upload(frac)), style)
    assert np.array_equal(out[0], np.repeat(grey[:, None], 3, axis=1))


def blocks(values):
    """Each value as an 8 x 8 block: one period of the pattern in which chroma becomes bytes."""
    return np.tile(np.repeat(values, 8), (8, 1))


# R'G'B' and Y'CbCr of BT.709 at 8 bits, limited range: 75 % and 100 % bars (ITU-R BT.709-6; SMPTE RP 219).
BARS = [
    ((0, 0, 0), (16, 128, 128)),
    ((255, 255, 255), (235, 128, 128)),
    ((255, 0, 0), (63, 102, 240)),
    ((0, 255, 0), (173, 42, 26)),
    ((0, 0, 255), (32, 240, 118)),
    ((255, 255, 0), (219, 16, 138)),
    ((0, 255, 255), (188, 154, 16)),
    ((255, 0, 255), (78, 214, 230)),
    ((191, 191, 191), (180, 128, 128)),
]


def planes_of(yuv, width, height):
    """Y, Cb and Cr of a picture."""
    y, cb, cr = np.split(yuv.ravel(), [width * height, width * height * 5 // 4])
    return y.reshape(height, width), *(c.reshape(height // 2, width // 2) for c in (cb, cr))


def test_bt709_bars_are_exact(monkeypatch, ctx):
    """On average: values between two bytes are both of them, in a fixed pattern. Whole values are one byte."""
    rgb = np.array([bar[0] for bar in BARS])
    own, count, frac, style = flat(monkeypatch, ctx, transfer.decode_srgb(rgb / 255))
    count, frac = blocks(count), blocks(frac)
    samples = Samples(8, 8 * len(BARS), 1000, ctx.upload(count), ctx.upload(frac))
    planes = planes_of(own.paint(samples, style, layout=YUV420), 8 * len(BARS), 8)
    exact = colour_oracle.to_yuv(rgb / 255)
    for k, (_, known) in enumerate(BARS):
        for plane, value, rounded in zip(planes, exact[k], known, strict=True):
            side = len(plane)
            part = plane[:, k * side : (k + 1) * side].astype(int)
            assert abs(part.mean() - value) < 0.05 and round(value) == rounded
            assert part.min() >= np.floor(value - 0.01) and part.max() <= np.ceil(value + 0.01)


def test_dark_flats_show_the_levels_between_two_bytes(monkeypatch, ctx):
    """A ramp over three bytes: four times as many steps, and the same ones in every picture."""
    ramp = np.linspace(8, 11, 256)
    linear = np.repeat(transfer.decode_srgb(ramp / 255)[:, None], 3, axis=1)
    own, count, frac, style = flat(monkeypatch, ctx, linear)
    samples = Samples(4, 256, 1000, ctx.upload(np.tile(count, (4, 1))), ctx.upload(np.tile(frac, (4, 1))))
    grey = own.paint(samples, style).copy()
    assert (grey == own.paint(samples, style)).all()
    means = grey[:2, :, 0].reshape(2, 128, 2).mean(axis=(0, 2))
    assert np.abs(means - ramp.reshape(128, 2).mean(axis=1)).max() < 0.4
    assert len(np.unique(means)) > 8
    luma = planes_of(own.paint(samples, style, layout=YUV420), 256, 4)[0]
    means = luma.reshape(4, 64, 4).mean(axis=(0, 2))
    want = colour_oracle.to_yuv(np.repeat(ramp[:, None] / 255, 3, axis=1))[:, 0].reshape(64, 4).mean(axis=1)
    assert np.abs(means - want).max() < 0.3 and len(np.unique(means)) > 8


def test_samples_are_averaged_in_linear_light(monkeypatch, ctx):
    """Half black, half white is sRGB 188, not the 128 of averaged bytes."""
    own, count, frac, style = flat(monkeypatch, ctx, [[0, 0, 0], [1, 1, 1]])
    count, frac = np.tile(count, (2, 1)), np.tile(frac, (2, 1))
    out = own.paint(Samples(2, 2, 1000, ctx.upload(count), ctx.upload(frac)), style, n=2)
    assert np.abs(out - 187.5).max() == 0.5


def test_chroma_is_the_average_of_four(monkeypatch, ctx):
    red, blue = (63, 102, 240), (32, 240, 118)
    own, count, frac, style = flat(monkeypatch, ctx, [[1, 0, 0], [0, 0, 1]])
    count, frac = np.tile(count, (2, 1)), np.tile(frac, (2, 1))
    yuv = own.paint(Samples(2, 2, 1000, ctx.upload(count), ctx.upload(frac)), style, layout=YUV420)
    assert np.abs(yuv.ravel() - [red[0], blue[0], red[0], blue[0], 171, 179.0]).max() <= 1


@pytest.mark.parametrize("layout", [RGB, YUV420])
@pytest.mark.parametrize("n", [1, 2])
def test_bands_make_the_same_picture(ctx, painter, layout, n):
    raw = Raw(ctx, 60 * n, 34 * n)
    whole = painter.paint(raw.samples, ColourStyle(), n, layout)
    canvas = painter.canvas(34, 60)
    for first, rows in ((40, 20), (0, 7), (7, 33)):
        band = slice(first * n, (first + rows) * n)
        part = Samples(rows * n, 34 * n, MAXITER, ctx.upload(raw.count[band]), ctx.upload(raw.frac[band]))
        painter.shade(part, ColourStyle(), canvas, n, row=first)
    out = np.empty(painting.shape(34, 60, layout), np.uint8)
    assert painter.develop(canvas, layout, out) is out
    assert np.array_equal(out, whole)


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (5, 7), (1, 9), (33, 3)])
def test_sizes_that_are_no_multiple_of_anything(ctx, painter, size):
    raw = Raw(ctx, size[1], size[0])
    assert levels(painter.paint(raw.samples, ColourStyle()), raw.picture(ColourStyle(), 1, RGB)) <= 1


def edges_of(picture, contrast):
    """The rule of ``Painter.edges`` in numpy, on encoded values 0..1."""
    levels_ = (picture * 1020).astype(int)
    marked = np.zeros(levels_.shape[:2], bool)
    for axis in (0, 1):
        step = np.abs(np.diff(levels_, axis=axis)).max(axis=2) > round(contrast * 1020)
        low = [slice(None)] * 2
        high = [slice(None)] * 2
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        marked[tuple(low)] |= step
        marked[tuple(high)] |= step
    return set(np.flatnonzero(marked))


@pytest.mark.parametrize("size", [(64, 40), (37, 23), (1, 1), (200, 1)])
def test_edges_are_the_pixels_that_stand_out(ctx, painter, size):
    width, height = size
    rng = np.random.default_rng(5)
    count = np.full((height, width), 20, np.int32)
    odd = rng.random((height, width)) < 0.03
    count[odd] = MAXITER + 1
    frac = np.zeros((height, width), np.float32)
    canvas = painter.canvas(width, height)
    painter.shade(Samples(height, width, MAXITER, ctx.upload(count), ctx.upload(frac)), ColourStyle(), canvas)
    found = painter.edges(canvas, 0.05)
    listed = painter.ctx.download(found.buffer, np.empty(found.length, np.int32))
    colours = transfer.encode_srgb(colour_oracle.linear(ColourStyle(), count, frac, MAXITER))
    assert list(listed) == sorted(listed)
    assert set(listed) == edges_of(colours, 0.05)


def samples_of_pixels(raw, ctx, pixels, width, n):
    """What an engine delivers for a list of pixels, cut out of a full n x n picture."""
    y, x = np.divmod(pixels, width)
    k = np.arange(n * n)
    rows, cols = y[:, None] * n + k // n, x[:, None] * n + k % n
    pick = [ctx.upload(a[rows, cols]) for a in (raw.count, raw.frac, raw.distance, raw.slope)]
    return Samples(len(pixels), n * n, raw.maxiter, *pick)


@pytest.mark.parametrize("style", [ColourStyle(), ColourStyle(relief=0.5, edge=2)])
@pytest.mark.parametrize("n", [2, 3])
def test_refined_pixels_are_those_of_the_full_picture(ctx, painter, n, style):
    width, height = 40, 26
    full, once = Raw(ctx, height * n, width * n, seed=9), Raw(ctx, height, width, seed=10)
    pixels = np.random.default_rng(2).permutation(width * height)[:300].astype(np.int32)
    canvas = painter.canvas(width, height)
    painter.shade(once.samples, style, canvas)
    listed = painting.Pixels(len(pixels), ctx.upload(pixels))
    for part in (slice(0, 100), slice(100, 300)):
        own = samples_of_pixels(full, ctx, pixels[part], width, n)
        painter.refine(own, style, canvas, n, listed, first=part.start)
    got = painter.develop(canvas).reshape(-1, 3)
    want = painter.paint(once.samples, style).reshape(-1, 3)
    want[pixels] = painter.paint(full.samples, style, n).reshape(-1, 3)[pixels]
    assert np.array_equal(got, want)


def test_nothing_to_refine(ctx, painter):
    raw = Raw(ctx, 4, 4)
    canvas = painter.canvas(4, 4)
    painter.shade(raw.samples, ColourStyle(), canvas)
    nothing = Samples(0, 4, MAXITER, ctx.empty(0), ctx.empty(0))
    painter.refine(nothing, ColourStyle(), canvas, 2, painting.Pixels(0, ctx.empty(0)))


def test_misfits_are_refused(ctx, painter):
    raw = Raw(ctx, 6, 6)
    bare = Samples(6, 6, MAXITER, raw.samples.count, raw.samples.frac)
    canvas = painter.canvas(6, 6)
    wrong = [
        (lambda: painter.paint(bare, ColourStyle(relief=0.5)), "BAD_SAMPLES"),
        (lambda: painter.paint(bare, ColourStyle(edge=0.5)), "BAD_SAMPLES"),
        (lambda: painter.shade(bare, ColourStyle(), canvas, 2), "BAD_SAMPLES"),
        (lambda: painter.shade(bare, ColourStyle(), canvas, 1, row=1), "BAD_SAMPLES"),
        (lambda: painter.refine(bare, ColourStyle(), canvas, 2, painting.Pixels(9, None)), "BAD_SAMPLES"),
        (lambda: painter.paint(Raw(ctx, 3, 4).samples, ColourStyle(), layout=YUV420), "ODD_SIZE"),
        (lambda: painter.develop(canvas, "bgr"), "BAD_LAYOUT"),
        (lambda: painter.develop(painter.canvas(6, 6, rgb=True), YUV420), "BAD_LAYOUT"),
        (lambda: painter.develop(canvas, RGB, np.empty((6, 6), np.uint8)), "BAD_LAYOUT"),
    ]
    for call, code in wrong:
        with pytest.raises(RenderError) as caught:
            call()
        assert caught.value.code == code


@pytest.mark.parametrize("layout", [RGB, YUV420])
def test_nothing_is_written_after_an_error(ctx, painter, monkeypatch, layout):
    """Kernels write to the picture itself: it must not be given up before they are over."""
    raw, over = Raw(ctx, 32, 32), []
    canvas = painter.canvas(32, 32)
    painter.shade(raw.samples, ColourStyle(), canvas)

    def interrupted(*_):
        marker = ctx.cl.enqueue_marker(ctx.queue)
        over.append(marker)
        raise KeyboardInterrupt

    monkeypatch.setattr(ctx, "finish_queue", interrupted)
    monkeypatch.setattr(ctx, "download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        painter.develop(canvas, layout)
    assert over[0].command_execution_status == ctx.cl.command_execution_status.COMPLETE

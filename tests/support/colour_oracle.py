"""The colouring in plain numpy: what the kernels must give, within one level."""

from __future__ import annotations

import numpy as np

from mandel.colour import palette_table, transfer
from mandel.colour.mappings import EVEN, LINEAR, LOG, ROOT
from mandel.colour.style import ColourStyle

# Luma weights of red and blue; green is the rest.
KR, KB = 0.2126, 0.0722


def linear(
    style: ColourStyle,
    count: np.ndarray,
    frac: np.ndarray,
    maxiter: int,
    distance: np.ndarray | None = None,
    slope: np.ndarray | None = None,
    n: int = 1,
) -> np.ndarray:
    """Linear-light colours, one for each sample.

    Args:
        count, frac: (rows, cols), as in ``render.samples.Samples``.
        distance, slope: (rows, cols) and (rows, cols, 2), if the look needs them.
        n: samples along each side of a pixel; ``distance`` counts samples, the look pixels.

    Returns:
        (rows, cols, 3) float64 in 0..1.
    """
    mu = np.maximum(count + frac.astype(np.float64), 0.0)
    colours = palette_table.colour_table(style.palette).astype(np.float64)
    turns = style.offset + style.density * mapped(style, mu)
    colour = colours[(turns % 1.0 * len(colours)).astype(int) % len(colours)]
    light = np.ones(count.shape)
    if style.needs_slope:
        light *= 1 + style.relief * (slope @ np.array(style.light) - 1) / 2
    if style.needs_distance:
        if distance is None:
            raise ValueError("this look needs distances")
        d = np.minimum(distance / (n * style.edge), 1.0)
        light *= d * (2 - d)
    interior = transfer.decode_srgb(np.array(list(bytes.fromhex(style.interior))) / 255)
    return np.where((count > maxiter)[..., None], interior, colour * light[..., None])


def mapped(style: ColourStyle, mu: np.ndarray) -> np.ndarray:
    """Smooth counts >= 0 along the style's mapping."""
    if style.mapping == EVEN:
        bases, values, slopes = np.array(style.curve).T
        at = np.searchsorted(bases, np.floor(mu), side="right") - 1
        return values[at] + slopes[at] * (mu - bases[at])
    return {ROOT: np.sqrt, LINEAR: np.asarray, LOG: lambda x: np.log2(x + 1)}[style.mapping](mu)


def average(colours: np.ndarray, n: int) -> np.ndarray:
    """Means of n x n blocks: (n*H, n*W, 3) to (H, W, 3)."""
    rows, cols, _ = colours.shape
    return colours.reshape(rows // n, n, cols // n, n, 3).mean(axis=(1, 3))


def rgb(colours: np.ndarray) -> np.ndarray:
    """Linear colours (H, W, 3) to sRGB bytes, uint8 (H, W, 3)."""
    return np.floor(transfer.encode_srgb(colours) * 255 + 0.5).astype(np.uint8)


def rgb10(colours: np.ndarray) -> np.ndarray:
    """Linear colours (H, W, 3) to words of ten bits a channel, uint8 (H, W, 4)."""
    levels = np.floor(transfer.encode_srgb(colours) * 1023 + 0.5).astype("<u4")
    words = levels[..., 0] | levels[..., 1] << 10 | levels[..., 2] << 20
    return words.view(np.uint8).reshape(*words.shape, 4)


def channels(words: np.ndarray) -> np.ndarray:
    """The levels of such words, (H, W, 3)."""
    pixels = np.ascontiguousarray(words).view("<u4")[..., 0]
    return np.stack([pixels >> 10 * channel & 1023 for channel in range(3)], axis=-1)


def to_yuv(encoded: np.ndarray) -> np.ndarray:
    """Gamma-encoded RGB in 0..1, (..., 3), to 8-bit limited-range Y, Cb, Cr of BT.709 (ITU-R BT.709-6), not rounded.

    Y spans 16..235, Cb and Cr 16..240 about 128.
    """
    r, g, b = np.moveaxis(np.asarray(encoded), -1, 0)
    y = KR * r + (1 - KR - KB) * g + KB * b
    return np.stack(
        [16 + 219 * y, 128 + 224 * (b - y) / (2 * (1 - KB)), 128 + 224 * (r - y) / (2 * (1 - KR))], axis=-1
    )


def yuv420(colours: np.ndarray) -> np.ndarray:
    """Linear colours (H, W, 3), sides even, to BT.709 limited range, uint8 (H*3/2, W), planes Y, Cb, Cr."""
    yuv = to_yuv(transfer.encode_srgb(colours))
    chroma = average(yuv, 2)
    planes = [yuv[..., 0].ravel(), chroma[..., 1].ravel(), chroma[..., 2].ravel()]
    rows, cols = colours.shape[0] * 3 // 2, colours.shape[1]
    return np.floor(np.concatenate(planes) + 0.5).astype(np.uint8).reshape(rows, cols)

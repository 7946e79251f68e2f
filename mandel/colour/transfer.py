"""The sRGB transfer function (IEC 61966-2-1) and the BT.709 luma and chroma (ITU-R BT.709-6)."""

from __future__ import annotations

import numpy as np

# Luma weights of red and blue; green is the rest.
KR, KB = 0.2126, 0.0722


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in 0..1 to gamma-encoded values in 0..1."""
    linear = np.asarray(linear)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Gamma-encoded values in 0..1 to linear light in 0..1."""
    encoded = np.asarray(encoded)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.0) + 0.055) / 1.055) ** 2.4)


def to_yuv(encoded: np.ndarray) -> np.ndarray:
    """Gamma-encoded RGB in 0..1, (..., 3), to 8-bit limited-range Y, Cb, Cr before rounding.

    Y spans 16..235, Cb and Cr 16..240 about 128.
    """
    r, g, b = np.moveaxis(np.asarray(encoded), -1, 0)
    y = KR * r + (1 - KR - KB) * g + KB * b
    return np.stack(
        [16 + 219 * y, 128 + 224 * (b - y) / (2 * (1 - KB)), 128 + 224 * (r - y) / (2 * (1 - KR))], axis=-1
    )

"""The sRGB transfer function (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in 0..1 to gamma-encoded values in 0..1."""
    linear = np.asarray(linear)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Gamma-encoded values in 0..1 to linear light in 0..1."""
    encoded = np.asarray(encoded)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.0) + 0.055) / 1.055) ** 2.4)

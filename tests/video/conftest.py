"""Pictures for the encoder, without a renderer."""

import numpy as np
import pytest


def moving(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """``count`` different frames, uint8 (height * 3 / 2, width): a drifting pattern with noise."""
    rng = np.random.default_rng(7)
    x, y = np.meshgrid(np.arange(width), np.arange(height * 3 // 2))
    noise = rng.integers(0, 20, x.shape)
    return [((3 * x + 2 * y + 5 * k) % 200 + 16 + noise).astype(np.uint8) for k in range(count)]


@pytest.fixture
def frames():
    return moving

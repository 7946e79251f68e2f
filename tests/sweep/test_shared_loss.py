"""How much worse a shared frame may be, before the sweep calls it wrong."""

import numpy as np

from mandel.device.context import device_context
from mandel.payload.payload import EXACT, SHARED
from tests.support.zooms import Zoomed, psnr
from tests.sweep.picture_checks import ENOUGH, SHARED_LOSS, lacking, payload_of, zoom

FINE = np.full((24, 38, 3), 128)


def spoilt(by: int, pixels: int) -> np.ndarray:
    """The fine picture, the first pixels off by so many levels."""
    picture = FINE.reshape(-1, 3).copy()
    picture[:pixels] += by
    return picture.reshape(FINE.shape)


def test_what_all_pixels_lack_is_seen_what_few_lack_may_be_chance():
    assert lacking(spoilt(15, 912), spoilt(10, 912), FINE)[0] > 0  # 3.5 dB
    assert lacking(spoilt(75, 9), spoilt(50, 9), FINE)[0] < 0
    assert lacking(spoilt(100, 9), spoilt(30, 9), FINE)[0] > 0  # 10.5 dB
    assert lacking(spoilt(1, 912), FINE, FINE)[0] < 0  # enough, whatever the other has
    assert lacking(spoilt(100, 912), FINE, FINE)[0] > 0


def test_a_small_frame_with_its_error_in_nine_pixels():
    """It lost 3.3 dB at 38 x 24; at 76 x 48 and more the same view loses nothing."""
    fields = zoom(117079039)
    exact, shared = (Zoomed(device_context(), payload_of(**fields, sampling=how)) for how in (EXACT, SHARED))
    last = fields["num_frames"] - 1
    wanted, usual, own = exact.alone(last, 4), exact.alone(last, 2), shared.frame(last)
    assert psnr(own, wanted) < min(psnr(usual, wanted) - SHARED_LOSS, ENOUGH), "the case is no longer one"
    assert lacking(own, usual, wanted)[0] < 0
    for side in (0, 1):  # a pixel aside is wrong, and seen
        assert lacking(np.roll(own, 1, axis=side), usual, wanted)[0] > 0

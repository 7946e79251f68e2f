"""How much worse a shared frame may be, before the sweep calls it wrong."""

import numpy as np

from mandel.device.context import device_context
from mandel.payload.payload import EXACT, SHARED
from tests.support.zooms import Zoomed, psnr
from tests.sweep.picture_checks import ENOUGH, SHARED_LOSS, lacking, payload_of, shared_excess, zoom

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


def test_a_line_just_along_the_pixels_edges_is_looked_at_in_smaller_pixels():
    """At 36 x 54 a line thinner than a pixel lay over two of them, as any resampling has it: 16 dB were missing."""
    fields, ctx = zoom(4053392), device_context()
    found = [shared_excess(ctx, fields, k) for k in (0, fields["num_frames"] - 1)]
    once = fields["frame_width"] * fields["frame_height"]
    assert any(pixels > once for _, _, pixels in found), "the case is no longer one"
    assert all(excess <= 0 for excess, _, _ in found)


def test_a_frame_that_lacks_at_both_sizes_is_wrong(monkeypatch):
    frame = Zoomed.frame
    monkeypatch.setattr(Zoomed, "frame", lambda self, k: np.roll(frame(self, k), 1, axis=0))
    excess, words, _ = shared_excess(device_context(), zoom(117079039), 0)
    assert excess > 0 and "dB" in words

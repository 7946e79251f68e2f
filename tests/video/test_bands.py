"""Dark, flat areas stay free of steps in a decoded film."""

import json

import pytest

from mandel.colour.style import ColourStyle
from mandel.payload.payload import parse
from mandel.plan.zoom import Zoom
from mandel.video import coding, ffmpeg
from mandel.video.encode import encode_segment
from mandel.worker.functions import Slot, worker_context

WIDTH, HEIGHT, FRAMES = 320, 180, 6
# CAMBI (Netflix, in libvmaf) is 0 without bands; from 5 on people notice them.
NOTICED = 5


@pytest.fixture(scope="module")
def dark():
    """A function that gives the frames of a dark zoom in a layout."""
    zoom = Zoom("-0.6", "0", "3.2", "3.0", FRAMES, WIDTH, HEIGHT)
    style = ColourStyle.of(parse({"palette": "0:010308,0.5:101828", "mapping": "log", "density": "0.05"}))
    renderer = worker_context(Slot("cpu", 1)).frames

    def frames(layout):
        return [
            renderer.picture(zoom.view(frame), 500, 1000.0, style, 2, layout=layout)
            for frame in range(FRAMES)
        ]

    return frames


@pytest.mark.parametrize("quality", [coding.DRAFT, coding.GOOD, coding.BEST])
def test_h264_shows_no_bands_in_the_dark(quality, dark, tmp_path):
    own = coding.of(coding.H264, quality, coding.AUTO, coding.AUTO, coding.AUTO, "0")
    film, log = tmp_path / "film.h264", tmp_path / "log.json"
    film.write_bytes(encode_segment(dark(own.layout), WIDTH, HEIGHT, "30", own))
    # With ten bits it tells the dithering of eight from bands; with eight it takes some of it for bands.
    deep = "[0:v]format=yuv420p10le[a];[1:v]format=yuv420p10le[b];[a][b]"
    measured = f"{deep}libvmaf=feature=name=cambi:log_fmt=json:log_path={log}"
    ffmpeg.run(["-i", f"file:{film}", "-i", f"file:{film}", "-lavfi", measured, "-f", "null", "-"])
    assert json.loads(log.read_text())["pooled_metrics"]["cambi"]["mean"] < NOTICED

from pathlib import Path

import pytest

from mandel.video import ffmpeg
from mandel.video.join import Joiner
from tests.store.damages import FRAMES, Made


@pytest.fixture(scope="session")
def mp4(tmp_path_factory) -> Path:
    """A real video, as the driver joins it."""
    folder = tmp_path_factory.mktemp("mp4")
    segment = folder / "0.h264"
    ffmpeg.run(
        [
            "-f",
            "lavfi",
            "-i",
            f"testsrc=size=64x48:rate=20:duration={FRAMES / 20}",
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            "aud=1:bframes=0:open-gop=0",
            f"file:{segment}",
        ]
    )
    joiner = Joiner(folder / "video.mp4", 64, 48, "20", FRAMES, 1)
    joiner.add(segment)
    video = joiner.finish()
    joiner.drop()
    return Path(video.path)


@pytest.fixture(scope="session")
def made(tmp_path_factory, mp4) -> Made:
    return Made(tmp_path_factory.mktemp("made") / "DB", mp4)

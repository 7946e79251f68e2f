"""Still pictures: converts a frame's bytes to RGB, and writes PNG files with imageio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import imageio.v3 as iio
import numpy as np
from PIL.PngImagePlugin import PngInfo

from mandel import plain_file
from mandel.errors import RenderError
from mandel.video import ffmpeg
from mandel.video.coding import DEFAULT, Coding
from mandel.video.h264 import first_picture

_LONGEST_SIDE = 640
# Names of texts in a PNG file (its specification, 11.3.3.2).
_PNG_WORDS = {"title": "Title", "date": "Creation Time", "comment": "Comment"}


def rgb_of_yuv420(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Converts BT.709 limited-range planes Y, Cb, Cr to sRGB, uint8 (height, width, 3), repeating chroma."""
    y, cb, cr = np.split(np.asarray(frame).reshape(-1), [width * height, width * height * 5 // 4])
    y = (y.reshape(height, width).astype(np.float32) - 16) * (255 / 219)
    cb, cr = (
        plane.reshape(height // 2, width // 2).repeat(2, axis=0).repeat(2, axis=1).astype(np.float32) - 128
        for plane in (cb, cr)
    )
    scale = 255 / 224
    red, blue = y + scale * 1.5748 * cr, y + scale * 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return np.clip(np.stack([red, green, blue], axis=-1) + 0.5, 0, 255).astype(np.uint8)


def png(picture: np.ndarray, tags: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A picture, uint8 (H, W, 3) sRGB, as the bytes of a PNG file that carries ``tags`` as texts."""
    texts = PngInfo()
    for name, text in tags.items():
        texts.add_text(_PNG_WORDS[name], text)
    # Compression level 1: higher levels take long and gain little on fractals.
    return iio.imwrite("<bytes>", picture, extension=".png", compress_level=1, pnginfo=texts)


def save_png(picture: np.ndarray, path: Path, tags: Mapping[str, str] = MappingProxyType({})) -> None:
    """Writes ``png``'s bytes to a file. After an error the file does not exist.

    Raises:
        OSError: the disk is full or failed.
    """
    try:
        path.write_bytes(png(picture, tags))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def save_poster(
    segment: Path,
    path: Path,
    width: int,
    height: int,
    coding: Coding = DEFAULT,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes the first frame of a segment (a file of ``encode_segment``'s bytes), shrunk, to a PNG file.

    Args:
        width, height: pixels of the film's frames.
        coding: how the segment was encoded.
        tags: texts that the file carries.

    Raises:
        RenderError: FFMPEG_FAILED, BAD_SEGMENT when there is no such frame.
        OSError: the segment cannot be read, or the file cannot be written.
    """
    shrink = min(1.0, _LONGEST_SIDE / max(width, height))
    shown = [max(2, round(side * shrink / 2) * 2) for side in (width, height)]
    data = plain_file.content(segment)
    raw = ffmpeg.run([
        "-threads", "1", "-f", "h264" if coding.is_stream else "matroska", "-i", "pipe:0",
        "-map", "0:v:0", "-frames:v", "1",
        "-filter_threads", "1", "-vf", f"scale={shown[0]}:{shown[1]}:flags=area:out_color_matrix=bt709:out_range=tv",
        "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1",
    ], first_picture(data) if coding.is_stream else data)  # fmt: skip
    if len(raw) != shown[0] * shown[1] * 3 // 2:
        raise RenderError("BAD_SEGMENT", f"{segment} does not start with a frame of {width}x{height}.")
    save_png(rgb_of_yuv420(np.frombuffer(raw, np.uint8), *shown), path, tags)

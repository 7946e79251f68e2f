"""Every codec in every container: segments joined exactly, and lossless where that is promised."""

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mandel.errors import PayloadError, RenderError
from mandel.payload import in_file
from mandel.payload.payload import parse
from mandel.plan.picture import RGB, RGB10, YUV420, shape
from mandel.tasks.results import check_segment
from mandel.video import coding, ffmpeg, subtitles
from mandel.video.encode import encode_segment
from mandel.video.join import Joiner
from mandel.video.poster import save_poster
from mandel.video.probe import packet_times
from mandel.video.shape import container_of, frames_of
from tests.support.video import frame_digests, stream

WIDTH, HEIGHT, FPS = 64, 48, "30000/1001"
CONTAINERS = {
    "h264": ("mp4", "mov", "mkv"),
    "hevc": ("mp4", "mov", "mkv"),
    "av1": ("mp4", "mkv"),
    "prores": ("mov", "mkv"),
    "ffv1": ("mkv", "mov"),
    "png": ("mov", "mkv"),
}
ROWS = [
    (codec, quality, container)
    for codec, quality, container in itertools.product(CONTAINERS, coding.QUALITIES, coding.CONTAINERS)
    if container in CONTAINERS[codec]
    and (quality in ("good", "lossless") or container == CONTAINERS[codec][0])
    and (codec not in ("ffv1", "png") or quality == "lossless")
    and not (codec in ("av1", "prores") and quality == "lossless")
]


def asked(**fields):
    return parse({"frame_width": WIDTH, "frame_height": HEIGHT, "fps": FPS, **fields})


def pixels(count):
    """Smooth colours that move, of ten bits a channel: (count, HEIGHT, WIDTH, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack(
        [
            np.stack(
                [
                    (9 * x + 7 * k) % 1024,
                    (11 * y + 3 * x) % 1024,
                    (5 * (x + y) + 17 * k) % 1024,
                ],
                -1,
            )
            for k in range(count)
        ]
    ).astype(np.uint32)


def pictures(layout, count):
    """The same in a layout."""
    values = pixels(count)
    if layout == YUV420:
        planes = np.concatenate([values[..., 0], values[:, : HEIGHT // 2, :, 1]], axis=1)
        return list((planes >> 2).clip(16, 235).astype(np.uint8))
    if layout == RGB:
        return [(frame >> 2).astype(np.uint8) for frame in values]
    words = values[..., 0] | values[..., 1] << 10 | values[..., 2] << 20
    return list(words.astype("<u4").view(np.uint8).reshape(count, HEIGHT, WIDTH, 4))


def decoded(path, layout):
    """A film's frames as ffmpeg gives them in a layout."""
    raw = bytearray(
        ffmpeg.run(
            [
                *("-i", f"file:{path}", "-fps_mode", "passthrough", "-f", "rawvideo"),
                *("-pix_fmt", coding.RAW_FORMATS[layout], "pipe:1"),
            ]
        )
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, *shape(WIDTH, HEIGHT, layout))


def joined(payload, folder, cuts=(5, 6, 11)):
    """A film of segments, its parts, and what was encoded."""
    given, parts, own = pictures(payload.coding.layout, cuts[-1]), [], payload.coding
    for first, last in zip([0, *cuts], cuts, strict=False):
        parts.append(folder / f"it's {first}.h264")
        parts[-1].write_bytes(encode_segment(given[first:last], WIDTH, HEIGHT, FPS, own))
        check_segment(parts[-1], last - first, WIDTH, HEIGHT, own)
    path = folder / f"film.{own.container}"
    tags = in_file.tags(payload.canonical(), "2026-11-27")
    with Joiner(path, WIDTH, HEIGHT, FPS, cuts[-1], len(parts), own, tags) as joiner:
        for part in parts:
            joiner.add(part)
        return joiner.finish(), parts, given


@pytest.mark.parametrize("codec, quality, container", ROWS)
def test_segments_are_joined_exactly(tmp_path, codec, quality, container):
    payload = asked(codec=codec, quality=quality, container=container)
    video, parts, given = joined(payload, tmp_path)
    assert frame_digests(video.path) == [digest for part in parts for digest in frame_digests(part)]
    times, slack = packet_times(video.path), 0 if container != "mkv" else Fraction(1, 2000)
    assert all(abs(time - k / Fraction(FPS)) <= slack for k, time in enumerate(times)) and len(times) == 11
    assert stream(video.path).codec == codec
    assert container_of(video.path.read_bytes()[:16]) == container
    with video.path.open("rb") as file:  # so a lost index loses no mp4 and no mov
        assert frames_of(file) == (None if container == "mkv" else 11)
    assert [path.name for path in tmp_path.iterdir() if path not in (*parts, video.path)] == []
    if quality == "lossless":
        found, wanted = decoded(video.path, payload.coding.layout), np.stack(given)
        if payload.coding.layout == RGB10:
            found = found & np.uint8([255, 255, 255, 63])  # ffmpeg sets the bits that no channel has
        assert np.array_equal(found, wanted)
    save_poster(parts[0], tmp_path / "poster.png", WIDTH, HEIGHT, payload.coding)


@pytest.mark.parametrize(
    "codec, container",
    [("h264", "mp4"), ("h264", "mov"), ("h264", "mkv"), ("av1", "mp4"), ("prores", "mov"), ("ffv1", "mkv")],
)
def test_subtitles_are_a_track_beside_the_same_packets(tmp_path, codec, container):
    payload = asked(codec=codec, container=container)
    video, parts, _ = joined(payload, tmp_path)
    words = subtitles.srt(lambda frame: f"1e-{frame}", 11, Fraction(4))
    films = []
    for name in ("told", "again"):
        told = tmp_path / f"{name}.{container}"
        with Joiner(told, WIDTH, HEIGHT, FPS, 11, len(parts), payload.coding, {}, words) as joiner:
            for part in parts:
                joiner.add(part)
            films.append(joiner.finish())
    assert films[0].sha256 == films[1].sha256
    films[0].path.unlink()
    copies = [
        ffmpeg.run(["-i", f"file:{path}", "-map", "0:v", "-c", "copy", "-f", "framehash", "pipe:1"])
        for path in (video.path, told)
    ]
    assert copies[0] == copies[1]
    assert packet_times(told) == packet_times(video.path)
    assert ffmpeg.run(["-i", f"file:{told}", "-map", "0:s:0", "-f", "srt", "pipe:1"]).decode() == words
    with told.open("rb") as file:
        assert frames_of(file) == (None if container == "mkv" else 11)
    assert [path.name for path in tmp_path.iterdir() if path not in (*parts, video.path, told)] == []


def test_what_subtitles_say():
    assert [subtitles.magnification(text) for text in ("2.5", "1", "10", "0.06", "1e-3", "1E-6", "3e-20000")] == [
        "×1", "×2.5", "×0.25", "×42", "×2,500", "×2.5 · 10⁶", "×8.3 · 10¹⁹⁹⁹⁹",
    ]  # fmt: skip
    assert subtitles.magnification("2.5000000000000001E-6") == "×1.0 · 10⁶"
    deltas, rate = {0: "2.5", 29: "0.25", 59: "0.025"}, Fraction(30000, 1001)
    text = subtitles.srt(deltas.get, 76, rate)
    assert text.startswith(
        "1\n00:00:00,000 --> 00:00:01,000\n×1\n\n2\n00:00:01,000 --> 00:00:02,000\n×10\n\n"
    )
    assert text.endswith("3\n00:00:02,000 --> 00:00:02,535\n×100\n\n")
    assert subtitles.srt(deltas.get, 70, rate).endswith("2\n00:00:01,000 --> 00:00:02,335\n×10\n\n")
    assert subtitles.srt(deltas.get, 1, rate) == "1\n00:00:00,000 --> 00:00:00,033\n×1\n\n"


@pytest.mark.parametrize("rate, most", [(Fraction(1, 100), 500), (Fraction(3, 10), 560), (Fraction(1), 500)])
def test_slow_films_have_not_many_more_subtitles_than_frames(rate, most):
    text = subtitles.srt(lambda frame: f"2.5e-{frame}", 500, rate)
    assert text.count("-->") <= most and text.endswith("· 10⁴⁹⁹\n\n")
    assert f"--> {subtitles._time(500 / rate)}\n" in text
    told = [line.split(" --> ") for line in text.splitlines() if "-->" in line]
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(told))


@pytest.mark.parametrize("codec", ["hevc", "av1", "prores"])
def test_colours_survive_the_way_through_yuv(tmp_path, codec):
    """Ten bits of flat colours: BT.709 of limited range, within two of its 876 levels."""
    own = asked(codec=codec, quality="best").coding
    for levels in [(800, 300, 150), (1023, 1023, 1023), (10, 900, 500)]:
        red, green, blue = (level / 1023 for level in levels)
        word = levels[0] | levels[1] << 10 | levels[2] << 20
        picture = np.full((HEIGHT, WIDTH), word, "<u4").view(np.uint8).reshape(HEIGHT, WIDTH, 4)
        path = tmp_path / "part"
        path.write_bytes(encode_segment([picture] * 2, WIDTH, HEIGHT, FPS, own))
        assert stream(path).colour.startswith("tv, bt709") and "/" not in stream(path).colour
        raw = ffmpeg.run(["-i", f"file:{path}", "-f", "rawvideo", "-pix_fmt", "yuv444p10le", "pipe:1"])
        got = np.frombuffer(raw, "<u2").reshape(2, 3, -1).astype(float)
        luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        chroma = [(blue - luma) / 1.8556, (red - luma) / 1.5748]
        wanted = [64 + 876 * luma, 512 + 896 * chroma[0], 512 + 896 * chroma[1]]
        assert np.abs(got - np.array(wanted)[:, None]).max() <= 2


def test_a_payload_is_read_from_each_kind_of_file(tmp_path):
    for codec, container in [("h264", "mp4"), ("prores", "mov"), ("ffv1", "mkv")]:
        payload = asked(codec=codec, point="-1.5,1e-40", end_delta="1e-60", rotation=-90)
        video, parts, _ = joined(payload, tmp_path)
        assert video.path.suffix == f".{container}"
        assert parse(_numbers(in_file.read(video.path))) == payload
        told = _words(video.path)
        assert "2026-11-27" in told and "Mandelbrot zoom to 1E-60 at -1.5, 1E-40" in told
        poster = tmp_path / "p.png"
        save_poster(parts[0], poster, WIDTH, HEIGHT, payload.coding, in_file.tags(payload.canonical(), "x"))
        assert parse(_numbers(in_file.read(poster))) == payload


def _numbers(text):
    from mandel.protocol import strict_json

    return strict_json.loads(text)


def _words(path):
    return ffmpeg.run(["-i", f"file:{path}", "-f", "ffmetadata", "pipe:1"]).decode()


def test_a_ceiling_is_kept(tmp_path):
    rng = np.random.default_rng(1)
    noise = [rng.integers(16, 235, shape(320, 240, YUV420), np.uint8) for _ in range(60)]
    for codec in ("h264", "hevc", "av1"):
        rates = []
        for ceiling in ("0", "1.5"):
            own = parse({"codec": codec, "bits": 8, "max_bitrate": ceiling}).coding
            size = len(encode_segment(noise, 320, 240, "20", own))
            rates.append(8 * size / 3 / 1e6)
        assert rates[0] > 3 and rates[1] < 2, (codec, rates)


@pytest.mark.parametrize(
    "field, fields",
    [
        ("quality", {"codec": "av1", "quality": "lossless"}),
        ("quality", {"codec": "prores", "quality": "lossless"}),
        ("container", {"codec": "prores", "container": "mp4"}),
        ("container", {"codec": "ffv1", "container": "mp4"}),
        ("bits", {"codec": "h264", "bits": 10}),
        ("bits", {"codec": "prores", "bits": 8}),
        ("crf", {"codec": "h264", "crf": 52}),
        ("crf", {"codec": "prores", "crf": 20}),
        ("crf", {"quality": "lossless", "crf": 20}),
        ("max_bitrate", {"codec": "hevc", "max_bitrate": "801"}),
        ("max_bitrate", {"codec": "ffv1", "max_bitrate": 10}),
    ],
)
def test_what_a_codec_lacks_is_refused_with_what_it_has(field, fields):
    with pytest.raises(PayloadError) as caught:
        asked(**fields)
    assert (caught.value.code, caught.value.field) == ("CONFLICT", field)


def test_levels_are_checked_before_anything_is_rendered():
    with pytest.raises(PayloadError, match=r"no level of av1 allows .* choose codec prores, ffv1 or png"):
        parse({"codec": "av1", "frame_width": 8192, "frame_height": 8192, "num_frames": 1})
    for width, height in ((8, 8), (62, 1000), (48, 48), (64, 14)):
        with pytest.raises(PayloadError, match="hevc needs 64 pixels across and 16 down at least"):
            parse({"codec": "hevc", "frame_width": width, "frame_height": height})
    with pytest.raises(PayloadError, match="av1 needs 16 pixels across and 16 down at least"):
        parse({"codec": "av1", "frame_width": 8, "frame_height": 8})
    parse({"codec": "hevc", "frame_width": 7680, "frame_height": 4320, "fps": 120})
    with pytest.raises(PayloadError, match="at 240 frames per second"):
        parse({"codec": "hevc", "frame_width": 7680, "frame_height": 4320, "fps": 240})


def test_what_follows_from_other_fields_has_one_form():
    assert asked(codec="ffv1") == asked(codec="ffv1", quality="draft", container="mkv", bits=8)
    assert asked(codec="hevc") == asked(codec="hevc", container="mp4", bits=10, crf=22)
    assert asked(codec="hevc").job_id() != asked(codec="hevc", crf=23).job_id()


def test_a_short_segment_is_found_out(tmp_path):
    own = asked(codec="ffv1").coding
    given, path = pictures(own.layout, 4), tmp_path / "part"
    whole = encode_segment(given, WIDTH, HEIGHT, FPS, own)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(RenderError, match="segment"):
        check_segment(path, 4, WIDTH, HEIGHT, own)
    with Joiner(tmp_path / "film.mkv", WIDTH, HEIGHT, FPS, 4, 1, own) as joiner:
        joiner.add(path)
        with pytest.raises(RenderError):
            joiner.finish()
    assert not (tmp_path / "film.mkv").exists()


def test_what_encoding_is_said_to_take_is_what_the_table_has():
    """CPU seconds a pixel: the mean of the table's dense and calm place."""
    table = (
        (Path(__file__).parents[2] / "docs" / "video.md")
        .read_text()
        .partition("<!-- made: table film codecs -->")[2]
    )
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.partition("<!-- made: end -->")[0].splitlines()
        if line.startswith("|")
    )
    taken = [place for place, name in enumerate(head) if name.endswith("CPU s a frame")]
    assert len(taken) == 2 and all(
        any(name.startswith(f"{it}: VMAF") for name in head) for it in ("dense", "calm")
    )
    found = {(row[0], row[1]): sum(float(row[it]) for it in taken) / 2 / (1920 * 1080) for row in rows}
    assert found.keys() == {key for key, seconds in coding.SECONDS.items() if seconds}
    for key, seconds in found.items():
        assert coding.SECONDS[key] == pytest.approx(seconds, rel=0.05), key

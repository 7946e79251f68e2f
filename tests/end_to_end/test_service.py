"""The whole service as a user meets it: ray_head.py, Ray, OpenCL, ffmpeg, client.py."""

import email
import hashlib
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from mandel.device.context import device_context
from mandel.driver.recipes.recipe import VIDEO_BAILOUT
from mandel.payload import in_file
from mandel.payload.payload import parse
from mandel.plan.zoom import Zoom
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.video import ffmpeg
from tests.support.service import ROOT
from tests.support.video import stream
from tests.support.zooms import Zoomed


def decoded(path: Path, width: int, height: int) -> np.ndarray:
    """Planar frames of a video, uint8, (frames, height * 3 / 2, width)."""
    raw = ffmpeg.run(["-i", f"file:{path}", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"])
    return np.frombuffer(raw, np.uint8).reshape(-1, height * 3 // 2, width)


def accepted(service, payload_file: str) -> int:
    """How often the service has taken a payload's job on."""
    job = parse(loads(Path(payload_file).read_bytes())).job_id()
    return service.output().count(f"job {job[:12]} accepted")


def test_the_seed_s_payload(service, tmp_path):
    out = tmp_path / "seed.mp4"
    run = service.client(str(ROOT / "payload.json"), "-o", str(out))
    assert run.returncode == 0, run.stderr + service.output()
    facts = stream(out)
    assert (facts.codec, facts.pixel_format, facts.frames) == ("h264", "yuv420p", 50)
    assert (facts.width, facts.height, float(facts.fps)) == (1000, 1000, 20.0)
    assert "tv" in facts.colour and "bt709" in facts.colour
    # The first frame shows the whole set, the last one delta 1e-4: compare with direct renderings.
    frames = decoded(out, 1000, 1000)
    zoom = Zoom("-1.338238635", "-0.057237059", "2.5", "0.0001", 50, 1000, 1000)
    renderer = FrameRenderer(device_context())
    style = Zoomed(device_context(), parse(loads((ROOT / "payload.json").read_bytes()))).style()
    for index in (0, 49):
        exact = renderer.picture(zoom.view(index), 1000, VIDEO_BAILOUT, style, 1, layout="yuv420")
        difference = frames[index, :1000].astype(float) - exact[:1000]
        assert np.sqrt((difference**2).mean()) < 6, index


def test_the_same_payload_again_is_not_rendered(service, payload_file, tmp_path):
    path, digests = payload_file(num_frames=9), []
    for name in ("a.mp4", "b.mp4"):
        run = service.client(path, "-o", str(tmp_path / name))
        assert run.returncode == 0, run.stderr
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    assert accepted(service, path) == 1


def test_two_at_once_share_one_render(service, payload_file, tmp_path):
    path = payload_file(num_frames=13)
    runs = [
        threading.Thread(target=lambda k=k: service.client(path, "-o", str(tmp_path / f"{k}.mp4")))
        for k in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()
    assert accepted(service, path) == 1


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"num_frames": 1}, (1, 96, 64)),
        ({"num_frames": 3, "start_delta": 1e-3, "end_delta": "2.5"}, (3, 96, 64)),
        ({"num_frames": 5, "frame_width": 130, "frame_height": 50, "supersampling": 3}, (5, 130, 50)),
        ({"num_frames": 4, "fps": "30000/1001", "point": "0.3,0.02"}, (4, 96, 64)),
    ],
)
def test_other_payloads(service, payload_file, tmp_path, fields, expected):
    out = tmp_path / "out.mp4"
    run = service.client(payload_file(**fields), "-o", str(out))
    assert run.returncode == 0, run.stderr
    facts = stream(out)
    assert (facts.frames, facts.width, facts.height) == expected


def ask(service, text: bytes) -> email.message.Message:
    """What a client of a few lines does: the reply, by the standard library's parser."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as connection:
        connection.sendall(text)  # neither newline nor half-close
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return email.message_from_bytes(received)


def test_a_client_of_a_few_lines(service):
    payload = b'{"num_frames": 6, "frame_width": 64, "frame_height": 64, "maxiter": 100}'
    reply = ask(service, payload)
    assert reply.get_content_type() == "multipart/form-data"
    *progress, video = reply.get_payload()
    data = video.get_payload(decode=True)
    assert video.get_content_type() == "video/mp4"
    assert int(video["Content-Length"]) == len(data)
    states = [json.loads(part.get_payload(decode=True)) for part in progress]
    assert states and states[-1]["frames"] == 6


def test_a_wrong_payload_gets_an_error_and_nothing_else(service):
    (error,) = ask(service, b'{"num_frame": 6}').get_payload()
    fields = json.loads(error.get_payload(decode=True))
    assert fields["code"] == "UNKNOWN_FIELD" and "num_frames" in fields["message"]


def test_cancel_status_list_attach(service, payload_file, tmp_path):
    path = payload_file(num_frames=3000, frame_width=640, frame_height=640)
    client = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "client.py"),
            path,
            "--port",
            str(service.port),
            "-o",
            str(tmp_path / "no.mp4"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    jobs = []
    while not jobs:
        listed = json.loads(service.client("--list", "--json").stdout)
        jobs = [j for j in listed["jobs"] if j["frames"] == 3000 and j["state"] == "running"]
        assert client.poll() is None, client.communicate()
    status = json.loads(service.client("--status", jobs[0]["job"], "--json").stdout)
    assert status["frames"] == 3000
    assert service.client("--cancel", jobs[0]["job"]).returncode == 0
    assert client.wait(30) == 4
    client.communicate()
    assert service.client("--cancel", jobs[0]["job"]).returncode == 0
    assert not (tmp_path / "no.mp4").exists()
    assert service.client("--attach", "0" * 64).returncode == 2
    # The service goes on with other work.
    assert service.client(payload_file(num_frames=2), "-o", str(tmp_path / "yes.mp4")).returncode == 0


W5 = {
    "point": "-0.743643887037158704752191506114774,0.131825904205311970493132056385139",
    "num_frames": 4,
    "end_delta": "2e-8",
    "maxiter": 1000,
}
W7 = {
    "point": "-1.338238635,-0.057237059",
    "num_frames": 4,
    "start_delta": "1e-3",
    "end_delta": "1e-40",
    "maxiter": 2000,
}


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_a_limit_that_is_too_low_is_said(service, payload_file, tmp_path, sampling):
    path, out = payload_file(**W5, sampling=sampling), str(tmp_path / "w5.mp4")
    for _ in range(2):  # the second time it comes from the store
        run = service.client(path, "-o", out)
        assert run.returncode == 0, run.stderr
        assert "maxiter 1,000 is low for frame" in run.stderr
        assert run.stderr.rstrip().endswith("--maxiter auto would show more") and run.stdout == f"{out}\n"
    run = service.client(path, "-o", out, "--json")
    facts = json.loads(run.stdout)
    short = facts["notes"]["short"]
    assert (short["last"], short["frame"], short["maxiter"]) == (3, 3, 1000) and 0.5 < short["share"] < 1
    run = service.client(path, "-o", out, "--quiet")
    assert (run.returncode, run.stderr) == (0, "")
    status = service.client("--status", facts["job"])
    assert (
        "is black, the most of all frames" in status.stdout
        and "--maxiter auto would show more" in status.stdout
    )
    assert json.loads(service.client("--status", facts["job"], "--json").stdout)["notes"] == facts["notes"]


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_flat_frames_are_said(service, payload_file, tmp_path, sampling):
    run = service.client(payload_file(**W7, sampling=sampling), "-o", str(tmp_path / "w7.mp4"))
    assert run.returncode == 0, run.stderr
    assert (
        "warning: frames 1 to 3 show one flat colour" in run.stderr and "its 9 decimals will do" in run.stderr
    )


def test_that_auto_gave_up_is_said(service, payload_file, tmp_path):
    inside = {
        "point": "-0.1,0.1",
        "num_frames": 2,
        "start_delta": "1e-3",
        "end_delta": "1e-4",
        "maxiter": "auto",
    }
    run = service.client(payload_file(**inside), "-o", str(tmp_path / "w4.mp4"))
    assert run.returncode == 0, run.stderr
    assert (
        "maxiter auto was given up for frames near delta" in run.stderr
        and "frames 0 to 1 are black all over" in run.stderr
    )
    reply = ask(service, (tmp_path / "payload.json").read_bytes())
    told = json.loads(reply.get_payload()[0].get_payload(decode=True))
    assert told["notes"]["gave_up"]["reason"] and told["notes"]["flat"]["inside"] == 2


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_a_lossless_film_has_the_pictures_as_they_were_rendered(service, payload_file, tmp_path, sampling):
    """And says what it is: the client asks for its kind of file, and reads its payload again."""
    path, out = payload_file(codec="ffv1", sampling=sampling, num_frames=3), tmp_path / "film.mkv"
    run = service.client(path, "-o", str(out))
    assert run.returncode == 0, run.stderr
    raw = ffmpeg.run(["-i", f"file:{out}", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"])
    found = np.frombuffer(raw, np.uint8).reshape(3, 64, 96, 3)
    asked = parse(loads(in_file.read(out)))
    assert asked == parse(loads(Path(path).read_bytes()))
    if sampling == "exact":
        zoom, renderer = Zoom.of(asked), FrameRenderer(device_context())
        style = Zoomed(device_context(), asked).style()
        wanted = [renderer.picture(zoom.view(k), 300, VIDEO_BAILOUT, style) for k in range(3)]
        assert np.array_equal(found, np.stack(wanted))
    # The same pictures in ten bits, whose upper eight these are, but for dither.
    ten = tmp_path / "ten.mov"
    run = service.client(path, "-o", str(ten), "--bits", "10")
    assert run.returncode == 0, run.stderr
    raw = ffmpeg.run(["-i", f"file:{ten}", "-f", "rawvideo", "-pix_fmt", "gbrp10le", "pipe:1"])
    planes = np.frombuffer(raw, "<u2").reshape(3, 3, 64, 96)[:, [2, 0, 1]].transpose(0, 2, 3, 1)
    assert np.abs(planes / 1023 - found / 255).max() <= 1 / 255 + 1.5 / 1023


def test_frames_are_files_of_what_was_rendered(service, payload_file, tmp_path):
    path, folder = payload_file(num_frames=5), tmp_path / "frames"
    run = service.client(path, "--frames", str(folder))
    assert run.returncode == 0 and run.stdout.strip() == str(folder), run.stderr
    assert sorted(file.name for file in folder.iterdir()) == [f"frame-{k:05d}.png" for k in range(5)]
    asked, renderer = parse(loads(Path(path).read_bytes())), FrameRenderer(device_context())
    zoom, style = Zoom.of(asked), Zoomed(device_context(), asked).style()
    for k in range(5):
        wanted = renderer.picture(zoom.view(k), 300, VIDEO_BAILOUT, style)
        assert np.array_equal(iio.imread(folder / f"frame-{k:05d}.png"), wanted)
    assert {file.name for file in tmp_path.iterdir()} == {"payload.json", "frames"}
    run = service.client(path, "--frames", str(folder))
    assert run.returncode == 2 and "not an empty folder" in run.stderr
    run = service.client(
        path, "--frames", str(tmp_path / "ten"), "--bits", "10", "-o", str(tmp_path / "ten.mov")
    )
    assert run.returncode == 0 and (tmp_path / "ten.mov").exists(), run.stderr
    raw = ffmpeg.run(
        ["-i", f"file:{tmp_path}/ten/frame-00004.png", "-f", "rawvideo", "-pix_fmt", "rgb48le", "-"]
    )
    levels = np.frombuffer(raw, "<u2").reshape(64, 96, 3)
    assert np.abs(levels / 65535 - wanted / 255).max() <= 1 / 255 + 1.5 / 1023
    assert len(np.unique(levels)) > 256


def test_a_preview_is_one_sheet_and_made_once(service, payload_file, tmp_path):
    path, out = payload_file(num_frames=300, frame_width=1920, frame_height=1080), tmp_path / "sheet.png"
    jobs = []
    for fields in ([], ["--fps", "30"]):
        run = service.client(path, "--preview", "6", "-o", str(out), *fields)
        assert run.returncode == 0 and run.stdout.strip() == str(out), run.stderr
        jobs.append(run.stderr.splitlines()[0])
    kept = tmp_path / "sheet.1.png"  # the first one, which carries another rate
    assert {file.name for file in tmp_path.iterdir()} == {"payload.json", "sheet.png", kept.name}
    assert jobs[0].startswith("job ") and jobs[0] == jobs[1]
    assert iio.imread(out).shape == (2 * 180 + 4, 3 * 320 + 2 * 4, 3)
    carried = loads(in_file.read(out))
    assert parse(carried) == parse(loads(Path(path).read_bytes()) | {"fps": "30"})
    assert carried["mapping"] == "even"  # written out: a sheet of before, that does not say it, has another

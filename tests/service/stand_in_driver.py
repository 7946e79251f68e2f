"""Speaks as the driver does, renders nothing, and fails on request.

Files in the folder that the variable STAND_IN names are its orders: ``hold``
(begin no segment while it is there), ``crash`` (die at the next frame or estimate, once; at the frame
whose number is in it, if one is),
``poison`` (die at every frame), ``torn`` (report a wrong digest, once), ``fail``
(fail the next frame or estimate, once), ``deaf`` (pass over "stop" and SIGTERM), ``mute``
(never become ready), ``lie`` (say the lines in it at the next frame, once; {job} and {tmp} are those of the
frame), ``say`` (say the lines in it, once), ``joined`` (it has joined the cluster at the address in it), ``gone``
(there is no cluster), ``print`` (print what is in it, then end with status 1, once), ``stop`` (say nothing more, as
if stopped, once), ``culprit`` (die at the frames of the job that it names, ``before`` or ``after`` telling of one),
``slow`` (begin each job so many seconds late), ``nonsense`` (a JSON object to be said of the next job, once),
``large`` (as many bytes as it says follow each video), ``found`` (what was found of every frame: JSON). Each frame
appends a line to ``rendered``, each life to
``lives``, each job ranked anew to ``changes``, each estimate to ``estimated``,
each order to cancel what it does not have to ``dropped``.
"""

import hashlib
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import replace
from functools import reduce
from pathlib import Path

from mandel import notes
from mandel.protocol import control

PER_SEGMENT = 5
ORDERS = Path(os.environ["STAND_IN"])
LINE = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))


def ordered(name: str, once: bool = True) -> bool:
    if not (ORDERS / name).exists():
        return False
    if once:
        (ORDERS / name).unlink()
    return True


def is_to_crash(frame: int) -> bool:
    named = (ORDERS / "crash").read_text() if (ORDERS / "crash").exists() else ""
    return named in ("", str(frame)) and ordered("crash")


def say(event: control.Event) -> None:
    LINE.sendall(control.encode(event))


def make(path: Path, data: bytes) -> dict:
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return {"path": str(path), "bytes": len(data), "sha256": "0" * 64 if ordered("torn") else sha256}


class Work:
    def __init__(self, order: control.Render):
        self.job, self.tmp = order.job, Path(order.tmp)
        frames = order.payload["num_frames"]
        self.spans = {i: min(PER_SEGMENT, frames - i * PER_SEGMENT) for i in range(-(-frames // PER_SEGMENT))}
        self.frames, self.begun = frames, time.monotonic()
        self.found = json.loads((ORDERS / "found").read_text()) if (ORDERS / "found").exists() else None
        self.adopted = {segment.index: Path(segment.path) for segment in order.segments}
        self.todo = [i for i in self.spans if i not in self.adopted]

    def is_due(self, slow: float) -> bool:
        """Whether a job begins that is begun ``slow`` seconds late; the one that ends drivers is a little sooner."""
        name = (ORDERS / "culprit").read_text() if (ORDERS / "culprit").exists() else ""
        return time.monotonic() > self.begun + (slow / 4 if self.job in name else slow)

    def step(self) -> bool:  # noqa: C901
        """One segment, or the video; True when the job is over."""
        if self.todo and len(self.adopted) + len(self.todo) == len(self.spans):  # one at a time
            index = self.todo.pop(0)
            for frame in range(index * PER_SEGMENT, index * PER_SEGMENT + self.spans[index]):
                culprit = (ORDERS / "culprit").read_text().split() if (ORDERS / "culprit").exists() else []
                if culprit == [self.job, "before"]:
                    os._exit(7)
                if is_to_crash(frame) or ordered("poison", once=False):
                    os._exit(7)
                if ordered("fail"):
                    say(control.Failed(job=self.job, code="FRAME_FAILED", message="as ordered", frame=frame))
                    return True
                with open(ORDERS / "rendered", "a") as file:
                    file.write(f"{self.job} {frame}\n")
                if (ORDERS / "lie").exists():
                    text = (
                        (ORDERS / "lie")
                        .read_text()
                        .replace("{job}", self.job)
                        .replace("{tmp}", str(self.tmp))
                    )
                    (ORDERS / "lie").rename(ORDERS / "lied")
                    for link in ("symbolic", "hard"):
                        if f"/{link}" in text:
                            (os.symlink if link == "symbolic" else os.link)(
                                ORDERS / "theirs", self.tmp / link
                            )
                    LINE.sendall(text.encode() + b"\n")
                    if '"video"' in text:  # whoever says so has ended the job
                        return True
                done = control.Frame(job=self.job, frame=frame, node="here", host="me", found=self.found)
                say(replace(done, seconds=0.0, device="none"))
                if culprit == [self.job, "after"]:
                    os._exit(7)
            data = f"{self.job} {index}\n".encode() * 200
            span = range(index * PER_SEGMENT, index * PER_SEGMENT + self.spans[index])
            known = [notes.of_frame(frame, self.found) for frame in span if self.found]
            say(
                control.Segment(
                    job=self.job,
                    index=index,
                    first=span[0],
                    frames=self.spans[index],
                    notes=reduce(notes.merged, known, {}),
                    **make(self.tmp / f"{index}.h264", data),
                )
            )
        elif len(self.adopted) == len(self.spans):
            video = b"".join(self.adopted[i].read_bytes() for i in self.spans)
            if (ORDERS / "large").exists():
                video += bytes(int((ORDERS / "large").read_text()))
            (self.tmp / "poster.png").write_bytes(b"poster")
            say(
                control.Video(
                    job=self.job,
                    poster=str(self.tmp / "poster.png"),
                    frames=self.frames,
                    **make(self.tmp / "video.mp4", video),
                )
            )
            return True
        return False


def main() -> None:  # noqa: C901, PLR0912, PLR0915
    with open(ORDERS / "lives", "a") as file:
        file.write(f"{os.getpid()}\n")
    signal.signal(signal.SIGTERM, lambda *_: None if ordered("deaf", once=False) else sys.exit(0))
    while ordered("mute", once=False):
        time.sleep(0.05)
    with open(ORDERS / "commands", "a") as file:
        file.write(" ".join(sys.argv[1:]) + "\n")
    if (ORDERS / "print").exists():
        print((ORDERS / "print").read_text(), flush=True)
        (ORDERS / "print").unlink()
        sys.exit(1)
    if ordered("gone", once=False):
        say(control.Unavailable(code="NO_CLUSTER", message="no Ray head answers"))
        sys.exit(3)
    joined = (ORDERS / "joined").exists()
    nodes = [
        {"id": "here", "resources": {"CPU": 1}},
        {"id": "dead", "alive": False, "resources": {"CPU": 9}},
    ]
    address = (ORDERS / "joined").read_text() if joined else "none"
    say(control.Ready(address=address, dashboard="", joined=joined, nodes=nodes))
    works: dict[str, Work] = {}
    buffer, alive = b"", 0.0
    while True:
        if (ORDERS / "say").exists():
            LINE.sendall((ORDERS / "say").read_bytes() + b"\n")
            (ORDERS / "say").unlink()
        if ordered("stop"):
            os.kill(os.getpid(), signal.SIGSTOP)
        if time.monotonic() > alive + 0.5:
            alive = time.monotonic()
            say(control.Alive())
        idle = not works or ordered("hold", once=False)
        if select.select([LINE], [], [], 0.02 if idle else 0.0)[0]:
            data = LINE.recv(1 << 16)
            if not data:
                return
            buffer += data
        *lines, buffer = buffer.split(b"\n")
        for order in map(control.decode_order, lines):
            match order:
                case control.Render():
                    works[order.job] = Work(order)
                case control.Estimate():
                    with open(ORDERS / "estimated", "a") as file:
                        file.write(
                            f"{order.job} of {len(order.strips)} strips, source {order.source is not None}\n"
                        )
                    if ordered("crash"):
                        os._exit(7)
                    if ordered("fail"):
                        say(control.Failed(job=order.job, code="FRAME_FAILED", message="as ordered"))
                    elif not ordered("hold", once=False):
                        say(
                            control.Estimated(
                                job=order.job,
                                seconds=[1.0, 2.5],
                                cpu_seconds=[2.0, 5.0],
                                bytes=[3e5, 2e6],
                                rendering=3.0,
                                encoding=1.0,
                                slots={"cpu": 2},
                            )
                        )
                case control.Adopted() if order.job in works:
                    works[order.job].adopted[order.index] = Path(order.path)
                case control.Cancel() if works.pop(order.job, None):
                    say(control.Cancelled(job=order.job))
                case control.Cancel():  # of an estimate, or of what has ended
                    with open(ORDERS / "dropped", "a") as file:
                        file.write(f"{order.job}\n")
                    say(control.Cancelled(job=order.job))
                case control.Change():
                    with open(ORDERS / "changes", "a") as file:
                        file.write(f"{order.job} {order.priority} {order.client}\n")
                case control.Stop() if not ordered("deaf", once=False):
                    return
        # Looked for again, as a job that just came may have been ordered behind it.
        holding = ordered("hold", once=False)
        slow = float((ORDERS / "slow").read_text()) if (ORDERS / "slow").exists() else 0.0
        for job in list(works) if not holding else ():
            if (ORDERS / "nonsense").exists():
                said = json.loads((ORDERS / "nonsense").read_text().replace("TMP", str(works[job].tmp)))
                (ORDERS / "nonsense").unlink()
                LINE.sendall(json.dumps({"job": job} | said).encode() + b"\n")
                if said["event"] == "video":
                    del works[job]
                    continue
            if works[job].is_due(slow) and works[job].step():
                del works[job]


if __name__ == "__main__":
    try:
        main()
    except ConnectionError:
        pass  # the head is gone

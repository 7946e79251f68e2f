"""Speaks as the driver does, renders nothing, and fails on request.

Files in the folder that the variable STAND_IN names are its orders: ``hold``
(begin no segment while it is there), ``crash`` (die at the next frame, once; at the frame
whose number is in it, if one is),
``poison`` (die at every frame), ``torn`` (report a wrong digest, once), ``fail``
(fail the next frame, once), ``deaf`` (pass over "stop" and SIGTERM), ``mute``
(never become ready), ``lie`` (say the lines in it at the next frame, once; {job} and {tmp} are those of the
frame), ``say`` (say the lines in it, once), ``joined`` (it has joined the cluster at the address in it), ``gone``
(there is no cluster), ``print`` (print what is in it, then end with status 1, once), ``stop`` (say nothing more, as
if stopped, once), ``culprit`` (die at the frames of the job that it names, ``before`` or ``after`` telling of one),
``slow`` (begin each job so many seconds late), ``nonsense`` (a JSON object to be said of the next job, once),
``large`` (as many bytes as it says follow each video), ``found`` (what was found of every frame: JSON). Each frame
appends a line to ``rendered``, each life to
``lives``, each job ranked anew to ``changes``.
"""

import hashlib
import json
import os
import select
import signal
import socket
import sys
import time
from functools import reduce
from pathlib import Path

from mandel import notes

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


def say(event: str, **fields) -> None:
    LINE.sendall(json.dumps({"event": event, **fields}).encode() + b"\n")


def make(path: Path, data: bytes) -> dict:
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return {"path": str(path), "bytes": len(data), "sha256": "0" * 64 if ordered("torn") else sha256}


class Work:
    def __init__(self, message: dict):
        self.job, self.tmp = message["job"], Path(message["tmp"])
        frames = message["payload"]["num_frames"]
        self.spans = {i: min(PER_SEGMENT, frames - i * PER_SEGMENT) for i in range(-(-frames // PER_SEGMENT))}
        self.frames, self.begun = frames, time.monotonic()
        self.found = json.loads((ORDERS / "found").read_text()) if (ORDERS / "found").exists() else None
        self.adopted = {int(i): Path(p) for i, p in message["segments"].items()}
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
                    say("failed", job=self.job, code="FRAME_FAILED", message="as ordered", frame=frame)
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
                say(
                    "frame",
                    job=self.job,
                    frame=frame,
                    seconds=0.0,
                    node="here",
                    host="me",
                    device="none",
                    attempt=1,
                    found=self.found,
                )
                if culprit == [self.job, "after"]:
                    os._exit(7)
            data = f"{self.job} {index}\n".encode() * 200
            span = range(index * PER_SEGMENT, index * PER_SEGMENT + self.spans[index])
            known = [notes.of_frame(frame, self.found) for frame in span if self.found]
            say(
                "segment",
                job=self.job,
                index=index,
                first=span[0],
                frames=self.spans[index],
                notes=reduce(notes.merged, known, {}),
                **make(self.tmp / f"{index}.h264", data),
            )
        elif len(self.adopted) == len(self.spans):
            video = b"".join(self.adopted[i].read_bytes() for i in self.spans)
            if (ORDERS / "large").exists():
                video += bytes(int((ORDERS / "large").read_text()))
            (self.tmp / "poster.png").write_bytes(b"poster")
            say(
                "video",
                job=self.job,
                poster=str(self.tmp / "poster.png"),
                frames=self.frames,
                **make(self.tmp / "video.mp4", video),
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
        say("unavailable", code="NO_CLUSTER", message="no Ray head answers")
        sys.exit(3)
    joined = (ORDERS / "joined").exists()
    say(
        "ready",
        address=(ORDERS / "joined").read_text() if joined else "none",
        dashboard="",
        joined=joined,
        nodes=[
            {"id": "here", "resources": {"CPU": 1}},
            {"id": "dead", "alive": False, "resources": {"CPU": 9}},
        ],
    )
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
            say("alive")
        holding = ordered("hold", once=False)
        if select.select([LINE], [], [], 0.02 if holding or not works else 0.0)[0]:
            data = LINE.recv(1 << 16)
            if not data:
                return
            buffer += data
        *lines, buffer = buffer.split(b"\n")
        for message in map(json.loads, lines):
            if message["do"] == "render":
                works[message["job"]] = Work(message)
            elif message["do"] == "adopted":
                if message["job"] in works:
                    works[message["job"]].adopted[message["index"]] = Path(message["path"])
            elif message["do"] == "cancel":
                if works.pop(message["job"], None):
                    say("cancelled", job=message["job"])
            elif message["do"] == "change":
                with open(ORDERS / "changes", "a") as file:
                    file.write(f"{message['job']} {message['priority']} {message['client']}\n")
            elif not ordered("deaf", once=False):
                return
        slow = float((ORDERS / "slow").read_text()) if (ORDERS / "slow").exists() else 0.0
        for job in list(works) if not holding else ():
            if (ORDERS / "nonsense").exists():
                said = json.loads((ORDERS / "nonsense").read_text().replace("TMP", str(works[job].tmp)))
                (ORDERS / "nonsense").unlink()
                say(**{"job": job} | said)
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

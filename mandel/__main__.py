"""``python -m mandel COMMAND``."""

from __future__ import annotations

import sys
from importlib import import_module

# name -> (module with main(argv) -> exit code, one line of help)
COMMANDS = {
    "zoom": ("mandel.cli.zoom", "a payload to an mp4, without a running service"),
    "head": ("mandel.cli.head", "the service; the same as python ray_head.py"),
    "client": ("mandel.cli.client", "send a payload; the same as python client.py"),
    "still": ("mandel.cli.still", "render one frame to a PNG or an npz"),
    "locate": ("mandel.cli.locate", "find the minibrot in a view: all digits, period, size, views"),
    "tune": ("mandel.cli.tune", "measure kernel variants on a device and pick the fastest from then on"),
    "doctor": ("mandel.cli.doctor", "show devices, the choice and the reason, Ray, ffmpeg, disk, versions"),
}


def main(argv: list[str]) -> int:
    """Runs one command; returns its exit code."""
    if argv and argv[0] in COMMANDS:
        return import_module(COMMANDS[argv[0]][0]).main(argv[1:])
    asked = bool(argv) and argv[0] in ("-h", "--help")
    out = sys.stdout if asked else sys.stderr
    if argv and not asked:
        print(f"no command {argv[0]!r}\n", file=out)
    print("usage: python -m mandel COMMAND [options]\n", file=out)
    for name, (_, text) in COMMANDS.items():
        print(f"  {name:8} {text}", file=out)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``mandel COMMAND``, where it is installed; ``python -m mandel COMMAND`` in a checkout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from mandel import ENGINE, VERSION
from mandel.terminal.arguments import nearest
from mandel.terminal.format import typed

# name -> (module with main(argv) -> exit code, one line of help)
COMMANDS = {
    "zoom": ("mandel.cli.zoom", "a payload to a film, without a running service"),
    "head": ("mandel.cli.head", "the service; ray_head.py in a checkout"),
    "client": ("mandel.client.main", "send a payload; client.py in a checkout"),
    "still": ("mandel.cli.still", "render one frame to a PNG or an npz"),
    "locate": ("mandel.cli.locate", "find the minibrot in a view: all digits, period, size, views"),
    "tune": ("mandel.cli.tune", "measure kernel variants on a device and pick the fastest from then on"),
    "doctor": ("mandel.cli.doctor", "show devices, the choice and the reason, Ray, ffmpeg, disk, versions"),
}


def main(argv: list[str]) -> int:
    """Runs one command; returns its exit code."""
    command = argv[0] if argv else ""
    if command in COMMANDS:
        run: Callable[[list[str]], int] = import_module(COMMANDS[command][0]).main
        return run(argv[1:])
    if command == "--version":
        print(f"mandel {VERSION}, engine {ENGINE}")
        return 0
    asked = command in ("-h", "--help")
    out = sys.stdout if asked else sys.stderr
    if command and not asked:
        print(f"no command {command!r}{nearest(command, COMMANDS)}\n", file=out)
    print(f"usage: {typed('COMMAND')} [options]\n       {typed('--version')}\n", file=out)
    for name, (_, text) in COMMANDS.items():
        print(f"  {name:8} {text}", file=out)
    print(f"\n{typed('COMMAND')} --help tells more of each.", file=out)
    return 0 if asked else 2


def entry() -> int:
    """What the installed ``mandel`` calls."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(entry())

"""Makes what pages take from code and result files: state drawings, the map's drawing, tables, plots.

    python -m docs.generate

In a page, what lies between ``<!-- made: NAME -->`` and ``<!-- made: end -->`` is
made here. ``tests/test_pages.py`` fails while a page or a drawing is not what
this program makes.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.plots import COLOURS, bars, lines
from benchmarks.record import ROOT, latest
from mandel.errors import PayloadError
from mandel.payload import checks, fields
from mandel.payload.decimal_text import Number
from mandel.protocol import control, reply
from mandel.service.jobs import job
from mandel.settings import PayloadLimits

PAGES = ("design.md", "benchmarks.md", "colour.md", "protocol.md", "sampling.md", "video.md")
IMAGES = ROOT / "docs" / "images"
_BLOCK = re.compile(r"(<!-- made: (?!end)(.+?) -->\n).*?(<!-- made: end -->)", re.DOTALL)


def job_states() -> str:
    """A mermaid drawing of the job states; events that change nothing are left out."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for state, events in job.TABLE.items():
        for event, following in events.items():
            if following != state:
                arrows[state, following].append(event)
    first = next(iter(job.TABLE))
    return _mermaid(first, arrows)


def reply_order() -> str:
    """A mermaid drawing of the order of a reply's parts."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for state, parts in reply.ORDER.items():
        for part, following in parts.items():
            arrows[_named(state), _named(following)].append(part or "last boundary")
    return _mermaid(_named(reply.State.START), arrows)


def _named(state: reply.State) -> str:
    """``end`` is a word of mermaid's own, which has a sign for the end."""
    return "[*]" if state is reply.State.END else state.name.lower()


def _mermaid(first: str, arrows: dict[tuple[str, str], list[str]]) -> str:
    rows = [
        f"    {state} --> {following}: {', '.join(names)}" for (state, following), names in arrows.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *rows, "```", ""])


def recoloured() -> str:
    """The fields that ``recolour`` takes, as a paragraph."""
    names = ", ".join(f"`{name}`" for name in fields.RECOLOURED)
    return textwrap.fill(names, 118, break_long_words=False) + ".\n"


def payload_fields() -> str:
    """A table of a payload's fields."""
    rows = [["field", "value", "default", "meaning"], ["---"] * 4]
    for field in fields.TABLE:
        default = json.dumps(field.default)
        if field.kind == fields.DECIMAL:  # canonical as a string, written as a number by most
            default = default.strip('"')
        rows.append([f"`{field.name}`", _allowed(field), f"`{default}`", field.help])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


# By a field's kind: what it is called, and a value that its check refuses.
_KINDS: dict[str, tuple[str, object]] = {
    fields.WHOLE: ("whole number", Number("-1e9")),
    fields.DECIMAL: ("decimal number", Number("-1e9")),
    fields.TEXT: ("string", "?"),
    fields.FLAG: ("`true` or `false`", 0),
}


def _allowed(field: fields.Field) -> str:
    """What a field may hold: its kind, and the limit that its check names when it refuses a value."""
    kind, refused = _KINDS[field.kind]
    limit: object = None
    try:
        field.check(refused, PayloadLimits())
    except PayloadError as error:
        limit = error.limit
    words = [f"`{word}`" for word in limit if word] if isinstance(limit, list) else []
    values = [] if words else [f"{kind}, {_range(limit)}" if isinstance(limit, dict) else kind]
    if field.default == fields.AUTO and not words:
        words = [f"`{fields.AUTO}`"]
    return ", or ".join(values + [", ".join(words)] * bool(words))


def _range(limit: dict[str, Any]) -> str:
    low, high, step = limit["min"], limit["max"], limit.get("step", 1)
    if high == checks.LARGEST_WHOLE:
        return f"{low} or more"
    low, high = (end if isinstance(end, str) else f"{end:,.12g}" for end in (low, high))
    return f"{low} to {high}" + (f", a multiple of {step}" if step > 1 else "")


def messages(direction: str) -> str:
    """A table of the messages between head and driver: ``orders`` or ``events``."""
    title, known = {
        "orders": ("head to driver (`do`)", control.ORDERS),
        "events": ("driver to head (`event`)", control.EVENTS),
    }[direction]
    rows = [[title, "fields", "may be missing", "meaning"], ["---"] * 4]
    for name, message in known.items():
        told: dict[bool, list[str]] = {False: [], True: []}
        for field, facts in control.fields_of(message).items():
            told[facts.optional].append(f"`{field}`: {facts.kind.name}")
        meaning = " ".join((message.__doc__ or "").split())
        rows.append([f"`{name}`", "; ".join(told[False]), "; ".join(told[True]), meaning])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def table(benchmark: str, label: str = "") -> str:
    """The newest figures of each device as a markdown table, and where they come from."""
    results = latest(benchmark, label)
    names = list(results[0]["rows"][0])
    body = [
        [str(row[name]) if isinstance(row[name], str) else f"{row[name]:,.6g}" for name in names]
        for result in results
        for row in result["rows"]
    ]
    rows = [names, ["---"] * len(names), *body]
    text = "".join("| " + " | ".join(row) + " |\n" for row in rows)
    return text + "\n" + source(benchmark, label)


def source(benchmark: str, label: str = "") -> str:
    """Where the newest figures come from: a line for each machine and commit."""
    origins: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
    for result in latest(benchmark, label):
        commit = result["commit"] + (" with changes" if result["changed_since_commit"] else "")
        origins[result["date"], commit, result["machine"]["system"]].append(result)
    script = ROOT / "benchmarks" / f"{benchmark}.py"
    by = f"by [{script.name}](../benchmarks/{script.name})" if script.exists() else "by hand"
    text = ""
    for (date, commit, machine), results in origins.items():
        files = ", ".join(
            f"[{result['label'] or 'file'}](../{result['path'].relative_to(ROOT).as_posix()})"
            for result in results
        )
        notes = " ".join(dict.fromkeys(result["note"] for result in results if result["note"]))
        text += f"* {date}, commit {commit}, {machine}, {by} ({files}). {notes}".rstrip() + "\n"
    return text


def _column(benchmark: str, key: str, label: str = "", **where) -> list:
    return [
        row[key]
        for result in latest(benchmark, label)
        for row in result["rows"]
        if all(row[name] == value for name, value in where.items())
    ]


def _bars(title: str, unit: str, benchmark: str, names: str, series: dict[str, str], label: str = "") -> str:
    """Bars of some columns: ``series`` gives the legend of each; ``names`` is the column below the axis."""
    found = {legend: _column(benchmark, key, label) for key, legend in series.items()}
    return bars(title, unit, _column(benchmark, names, label), found)


def plots() -> dict[str, str]:
    """Plots by name, as SVG."""
    views = list(dict.fromkeys(_column("shared_quality", "view", "*")))
    ways = {"exact, 1": "exact, 1 sample a pixel", "exact, 4": "exact, 4", "shared, 1.1": "shared (default)"}
    quality = {
        name: {
            legend: [_column("shared_quality", key, "*", view=view, sampling=way)[0] for view in views]
            for way, legend in ways.items()
        }
        for name, key in (("psnr", "PSNR, dB"), ("flicker", "flicker, levels"))
    }
    rates = list(dict.fromkeys(_column("shared_speed", "frames an octave", "320x180")))
    crf = {f"crf {crf}": crf for crf in (16, 20)}
    return {
        "direct_throughput": _bars(
            "Direct engine on 2 CPU cores: share of the hardware's limit, by delta",
            "%",
            "direct_throughput",
            "delta",
            {"of the limit, %": "reached"},
            "by delta",
        ),
        "single_frame": _bars(
            "One frame of 1000×1000, colours included, by delta",
            "ms",
            "single_frame",
            "delta",
            {"mandel, ms": "this program", "mandelbrot-explorer, ms": "mandelbrot-explorer"},
        ),
        "deep_frames": _bars(
            "One deep frame of 1000×1000, reference orbit included",
            "s",
            "deep_frames",
            "view",
            {"picture, s": "this program", "fractalshades, s": "fractalshades"},
        ),
        "seed_payload": _bars(
            "The seed's payload, from client.py to the verified video",
            "s",
            "seed_payload",
            "program",
            {"wall, s": "wall time"},
        ),
        "end_to_end": bars(
            "Rendering and encoding on an H100 with 16 cores",
            "frames/s",
            [
                ": ".join((payload.split(",")[0], device))
                for payload, device in zip(
                    _column("end_to_end", "payload", "*"), _column("end_to_end", "device", "*"), strict=True
                )
            ],
            {
                "slowest run": _column("end_to_end", "slowest run, frames/s", "*"),
                "fastest run": _column("end_to_end", "fastest run, frames/s", "*"),
            },
        ),
        "long_zooms": _bars(
            "Long zooms on an H100 with 16 cores, from the first task to the finished job",
            "s",
            "long_zooms",
            "zoom",
            {"to finished job, s": "rendering", "length of the video, s": "length of the video"},
            "*",
        ),
        "rounds": _bars(
            "Kernel time after the change, over before",
            "ratio",
            "rounds",
            "view",
            {"CPU, and rounds / before": "CPU", "H100, and rounds / before": "H100"},
        ),
        "quality-psnr": bars("PSNR against 64 samples a pixel", "dB", views, quality["psnr"]),
        "quality-flicker": bars(
            "Flicker: RMS change of the error along the motion", "levels", views, quality["flicker"]
        ),
        "shared_speed": lines(
            "CPU time of exact frames with 4 samples a pixel, over that of shared ones",
            "ratio",
            [f"{rate} frames an octave" for rate in rates],
            {
                zoom: _column("shared_speed", "exact / shared", "320x180", zoom=zoom)
                for zoom in ("shallow", "deep")
            },
        ),
        "encoding": bars(
            "Size of 50 frames 1000×1000 by x264 preset",
            "MB",
            list(dict.fromkeys(_column("encoding", "x264"))),
            {legend: _column("encoding", "MB", crf=value) for legend, value in crf.items()},
        ),
    }


def exponential_map() -> str:
    """Two panels as SVG: rings and frames in the plane, and the same as strips and curves on the map."""
    width, height, octaves = 160, 90, 4
    size, left, per_octave, top = 320, 420, 64, 60
    corner = math.hypot(width, height) / 2
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {top + size + 60}" font-family="sans-serif" '
            'font-size="12" fill="#222">'
        ),
        f'<rect width="800" height="{top + size + 60}" fill="white"/>',
    ]

    def text(x: float, y: float, words: str, anchor: str = "middle", fill: str = "#222") -> None:
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{words}</text>')

    text(20 + size / 2, 24, "the plane: rings about the zoom's centre, three frames")
    text(left + 160, 24, "the exponential map: strips, and the same frames")
    x0, y0, scale = 20 + size / 2, top + size / 2, size / 2 / corner
    for k in range(octaves):
        r = corner * scale / 2**k
        shade = ("#e8eef5", "#f7f7f7")[k % 2]
        out.append(f'<circle cx="{x0}" cy="{y0}" r="{r:.1f}" fill="{shade}" stroke="#999"/>')
        out.append(
            f'<rect x="{left}" y="{top + k * per_octave}" width="320" height="{per_octave}" fill="{shade}" '
            'stroke="#999"/>'
        )
        text(left + 330, top + (k + 0.5) * per_octave + 4, f"strip {k}", "start")
    for k in range(3):
        w, h = width * scale / 2**k, height * scale / 2**k
        out.append(
            f'<rect x="{x0 - w / 2:.1f}" y="{y0 - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" fill="none" '
            f'stroke="{COLOURS[k]}" stroke-width="2"/>'
        )
        points = []
        for step in range(257):
            angle = 2 * math.pi * step / 256
            across, down = abs(math.cos(angle)) or 1e-9, abs(math.sin(angle)) or 1e-9
            radius = min(
                width / 2 / across, height / 2 / down
            )  # where the frame's edge lies in this direction
            points.append(
                f"{left + 320 * step / 256:.1f},{top + per_octave * (k + math.log2(corner / radius)):.1f}"
            )
        out.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{COLOURS[k]}" stroke-width="2"/>'
        )
        text(x0 - w / 2 + 4, y0 - h / 2 + 14, f"frame {k}", "start", COLOURS[k])
    bottom = top + octaves * per_octave
    text(left + 160, bottom + 20, "column: direction, one full turn →")
    text(left - 10, top + 4, "outside", "end")
    text(left - 10, bottom, "centre ↓", "end")
    text(
        400,
        top + size + 36,
        "Each frame is half as wide as the one before. On the map it has the same edge, "
        "one octave further down: zooming shifts.",
    )
    return "\n".join([*out, "</svg>", ""])


def made(name: str) -> str:
    """The text of a block, by what stands in its mark."""
    what, *arguments = shlex.split(name)
    makers = {
        "states": job_states,
        "reply": reply_order,
        "messages": messages,
        "recoloured": recoloured,
        "payload_fields": payload_fields,
        "table": table,
        "source": source,
    }
    return makers[what](*arguments)


def filled(page: str) -> str:
    """A page with its blocks made anew."""
    return _BLOCK.sub(lambda match: match[1] + made(match[2]) + match[3], page)


def drawings() -> dict[Path, str]:
    """All drawings with the files that hold them."""
    found = {IMAGES / "plots" / f"{name}.svg": svg for name, svg in plots().items()}
    return found | {IMAGES / "exponential-map.svg": exponential_map()}


def main() -> None:
    for path, svg in drawings().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg)
    for name in PAGES:
        page = ROOT / "docs" / name
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()

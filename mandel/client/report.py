"""Puts results of status, list and changes into words for people. Unexpected values never raise an error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from mandel.client.progress_line import again, describe
from mandel.payload.fields import JsonObject
from mandel.protocol.operation import ESTIMATE
from mandel.terminal import note_text
from mandel.terminal.format import duration, is_number, printable, size

ID_DIGITS = 12  # digits shown of a job's or node's id; options of the client take such a beginning

# States of a job, by operation, that it leaves as they are.
_NOTHING_TO = {
    "cancel": ("done", "failed"),
    "pause": ("done", "failed", "cancelled"),
    "resume": ("done", "failed", "cancelled"),
    "retry": ("done", "paused"),
}
_PAYLOAD_VALUE = 60
_BUSY_SHARE = 0.25  # of the cores
_FOLDER = 4096  # bytes that an empty folder takes


def report(op: str, result: JsonObject) -> str:
    """The text for the result of operation ``op``: a table of jobs, one fact a line, or one line for a change."""
    if op == ESTIMATE:
        return _facts(_estimate(result))
    if isinstance(result.get("jobs"), list):
        return _table([row for row in result["jobs"] if isinstance(row, dict)])
    if op not in ("status", "list") and isinstance(result.get("job"), str):
        if result.get("state") in _NOTHING_TO.get(op, ()):
            return f"nothing to {op}: {_id(result['job'])} is {result['state']}"
        done = result.get("state", "?") if op not in ("pin", "unpin") else op + "ned"
        cost = f"; {_done(result, ' frames are stored')}" if op == "pause" and again(result) else ""
        cost += (
            f"; {_size(result['bytes'])} are free"
            if op == "delete" and is_number(result.get("bytes"))
            else ""
        )
        cost += f"; {printable(result['unsaved'])}" if result.get("unsaved") else ""
        return f"{printable(done, 20)} {_id(result['job'])}{cost}"
    return _facts(_rows(result))


def _table(jobs: list[JsonObject]) -> str:
    if not jobs:
        return "no jobs"
    lines = [["job", "state", "frames", "film", "left", "asked", "length", "look", "name"]]
    for job in jobs:
        done, frames = job.get("done"), job.get("frames")
        lines.append(
            [
                _id(job.get("job")),
                printable(job.get("state", "-"), 20),
                f"{_as_text(done)} of {_as_text(frames)}",
                _film_size(job)
                + (f" + {_size(job['kept'])} of strips" if job.get("kept") else "")
                + (", pinned" if job.get("pinned") is True else ""),
                _left(job.get("seconds_left")),
                _moment(job.get("asked")),
                _duration(job.get("length")),
                printable(job.get("look") or "-", 40),
                printable(job.get("name") or "", 64),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _estimate(result: JsonObject) -> list[tuple[str, str]]:
    """What a payload would take."""
    parts = f"rendering about {_short(result.get('rendering'))}, encoding {_short(result.get('encoding'))}"
    rows = [
        ("film", f"{_as_text(result.get('frames'))} frames, {_short(result.get('length'))}"),
        (
            "time",
            f"{_range(result.get('seconds'), _short)} with {_counted(result.get('slots'))}, if nothing else runs",
        ),
        ("CPU time", f"{_range(result.get('cpu_seconds'), _short)}: {parts}"),
        ("size", _range(result.get("bytes"), _size, "not known, as samples are too dear to encode some")),
    ]
    if busy := _busy(result):
        rows.insert(2, ("but", f"{busy}: it will take longer"))
    if result.get("state") is not None:
        rows.append(("job", f"{_id(result.get('job'))} is {printable(result['state'], 20)} already"))
    return rows


def _busy(result: JsonObject) -> str:
    """What takes cores away from a job, in words; "" if hardly anything does."""
    others, load, cores = (result.get(name) for name in ("others", "load", "cores"))
    words = []
    if is_number(others) and others > 0:
        words.append(
            f"{others} other job{'' if others == 1 else 's'} share{'s' if others == 1 else ''} the slots"
        )
    if is_number(load) and is_number(cores) and load > _BUSY_SHARE * cores:
        words.append(f"the service's machine was busy (load {load:g} on {cores} cores in the last minute)")
    return " and ".join(words)


def _short(value: object) -> str:
    """Seconds, with a decimal if they are few."""
    return f"{value:.1f} s" if is_number(value) and 0 <= value < 10 else _duration(value)


def _counted(slots: object) -> str:
    if not isinstance(slots, dict) or not slots:
        return "-"
    counts = [
        f"{_as_text(count)} {printable(kind, 20)} slot{'s' * (count != 1)}" for kind, count in slots.items()
    ]
    return ", ".join(counts)


def _range(value: object, form: Callable[[object], str], unknown: str = "-") -> str:
    if value is None:
        return unknown
    if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
        low, high = map(form, value)
        return low if low == high else f"{low} to {high}"
    return _as_text(value)


def _facts(rows: list[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:{width}}  {text}".rstrip() for name, text in rows)


def _rows(result: JsonObject) -> list[tuple[str, str]]:
    rows = []
    for name, value in result.items():
        if value is None or name in ("hosts", "done", "again"):
            continue  # hosts are shown with nodes; done and again with frames
        if name == "bytes":
            rows.append(("film", _film_size(result)))
            continue
        if name == "nodes" and isinstance(value, dict):
            rows.append(("nodes", _frames_by_host(value, result.get("hosts"))))
        elif name == "frames":
            rows.append(("frames", _done(result)))
        elif name == "notes" and isinstance(value, dict):
            frames = result.get("frames")
            rows.append(("black", note_text.reached(value.get("reached"), frames) or "nothing"))
            rows += note_text.remarks(value, frames)
        elif name == "payload" and isinstance(value, dict):
            rows.append(("payload", ""))
            rows += [
                (f"  {printable(key)}", printable(_as_text(it), _PAYLOAD_VALUE)) for key, it in value.items()
            ]
        elif name == "cluster" and isinstance(value, dict):
            without_ray = ("joined", "dashboard") if value.get("address") == "" else ()
            rows += [
                _cluster_row(key, it)
                for key, it in value.items()
                if it is not None and key not in without_ray
            ]
        elif name == "live" and isinstance(value, list):
            live = [job for job in value if isinstance(job, dict)]
            rows += [("live", f"{_id(job.get('job'))} {describe(job)}") for job in live]
        else:
            shown, form = _FORMS.get(name, (printable(name), _as_text))
            rows.append((shown, form(value)))
    return rows


def _done(result: JsonObject, what: str = "") -> str:
    """Frames that are done, and how many must be done again."""
    done = f"{_as_text(result.get('done'))} of {_as_text(result.get('frames'))}{what}"
    return ", ".join(filter(None, (done, again(result))))


def _cluster_row(name: str, value: object) -> tuple[str, str]:
    if name == "nodes":
        return "nodes", _hosts(value)
    if name == "address" and not value:
        return "renders in", "processes of this machine, without Ray"
    if name == "joined":
        return "Ray was", "running already" if value else "started by the service"
    if name == "store":
        return "for results", f"{_size(value)} of memory"
    return "Ray at" if name == "address" else printable(name), _as_text(value)


def _as_text(value: object) -> str:
    """Any JSON value as text, without brackets."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = ", ".join(f"{name} {_as_text(it)}" for name, it in value.items() if it is not None) or "-"
    elif isinstance(value, list):
        value = ", ".join(map(_as_text, value)) or "-"
    return printable(value)


def _id(value: object) -> str:
    return printable(value, 64)[:ID_DIGITS] if isinstance(value, str) else "-"


def _moment(value: object) -> str:
    if is_number(value) and 0 <= value < 1e11:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return _as_text(value)


def _duration(value: object) -> str:
    return duration(value) if is_number(value) else _as_text(value)


def _size(value: object) -> str:
    return size(value) if is_number(value) and 0 <= value < 1e24 else _as_text(value)


def _film_size(job: JsonObject) -> str:
    """What a job takes on the service's disk, without its kept strips: the film, or what there is of it."""
    taken, kept = job.get("bytes"), job.get("kept")
    return _size(max(taken - kept, 0) if is_number(taken) and is_number(kept) else taken)


def _storage(value: object) -> str:
    """The size of the service's DB/, and its limit."""
    if not isinstance(value, dict) or "total" not in value:
        return _as_text(value)
    limit = f" of {_size(value['limit'])}" if value.get("limit") else ""
    parts = [
        f"{name} {_size(value[name])}"
        for name in ("pinned", "cache", "lost")
        if is_number(value.get(name)) and value[name] > _FOLDER
    ]
    return (
        f"{_size(value.get('total'))}{limit}"
        + (f" ({', '.join(parts)})" if parts else "")
        + (f"; {_size(value['free'])} free on its disk" if value.get("free") is not None else "")
    )


def _left(value: object) -> str:
    return _range(value, _duration)


def _counts(value: object) -> str:
    """The number of jobs in each state; states without jobs are left out."""
    if isinstance(value, dict):
        return (
            ", ".join(f"{_as_text(n)} {printable(state)}" for state, n in value.items() if n != 0) or "none"
        )
    return _as_text(value)


def _renderer(value: object) -> str:
    if not isinstance(value, dict):
        return _as_text(value)
    starts, error = value.get("starts"), value.get("error")
    words = [printable(value.get("state", "?"))]
    words += [f"started {'once' if starts == 1 else f'{starts} times'}"] if is_number(starts) else []
    return ", ".join(words + ([f"last error: {printable(error)}"] if error else []))


def _error(value: object) -> str:
    if isinstance(value, dict):
        return f"{printable(value.get('code', '?'), 40)}: {printable(value.get('message', '?'), 2_000)}"
    return _as_text(value)


def _several(nodes: int) -> str:
    return f" ({nodes} nodes)" if nodes > 1 else ""


def _frames_by_host(frames: JsonObject, hosts: object) -> str:
    """Frames rendered on each machine. A node whose machine is unknown is shown by its id."""
    hosts = hosts if isinstance(hosts, dict) else {}
    rendered: Counter[str] = Counter()
    nodes: Counter[str] = Counter()
    for node, count in frames.items():
        host = printable(hosts[node], 80) if node in hosts else _id(node) or "-"
        rendered[host] += count if isinstance(count, int) else 0
        nodes[host] += 1
    words = [f"{host}: {count} frames{_several(nodes[host])}" for host, count in rendered.most_common()]
    return ", ".join(words) or "-"


def _hosts(nodes: object) -> str:
    """The cluster's machines, each with its number of nodes if it has several."""
    if not isinstance(nodes, list):
        return _as_text(nodes)
    known = [node for node in nodes if isinstance(node, dict)]
    alive = Counter(
        printable(node.get("host") or _id(node.get("id")), 80)
        for node in known
        if node.get("alive") is not False
    )
    dead = len(known) - alive.total()
    words = [f"{host}{_several(count)}" for host, count in alive.items()]
    return ", ".join(words + ([f"{dead} dead"] if dead else [])) or "-"


# Facts that need a form of their own: the name to show, and the function that makes the text.
_FORMS = {
    "job": ("job", _id),
    "asked": ("asked", _moment),
    "uptime": ("up", _duration),
    "seconds": ("took", _duration),
    "waited": ("first frames", _duration),
    "seconds_left": ("left", _left),
    "jobs": ("jobs", _counts),
    "driver": ("renderer", _renderer),
    "error": ("error", _error),
    "kept": ("kept strips", _size),
    "storage": ("DB", _storage),
}

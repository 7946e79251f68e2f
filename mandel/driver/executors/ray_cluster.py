"""Finds the Ray cluster to join, without importing ray and without sending the token to a stranger."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from pathlib import Path

from mandel.errors import RenderError

EMBEDDED = "embedded"  # the setting ``address`` of a service that needs no Ray
_PROBE_SECONDS = 3.0
_LONGEST_ADDRESS = 300
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
# The first bytes of a gRPC client: HTTP/2's preface and empty settings. A server answers with its own settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS = 4
# A method of Ray's control store, which refuses it without the token, and a method that does not exist. A server that
# answers both alike is not Ray.
_RAYS, _NOBODYS = "/ray.rpc.NodeInfoGcsService/CheckAlive", "/mandel.Nobody/Knows"
_LISTENING = "0A"


def find_cluster(address: str) -> str | None:
    """The HOST:PORT of the cluster to join, or None to start Ray here.

    Args:
        address: HOST:PORT, ``auto`` (the one that RAY_ADDRESS names or that
            this user runs on this machine, if any), ``local`` or ``embedded`` (never join).

    Raises:
        RenderError: BAD_SETTING when it is no address, NO_CLUSTER when no Ray answers there.
    """
    if address in ("local", EMBEDDED):
        return None
    named = address if address != "auto" else os.environ.get("RAY_ADDRESS", "")
    if named in ("", "auto", "local"):
        found = running_here()
        return found if found and why_not(found, own=True) is None else None
    if _parts(named) is None:
        raise RenderError(
            "BAD_SETTING",
            f"--address (or RAY_ADDRESS) {named!r} is no address of a Ray cluster; write HOST:PORT, such as "
            "head:6379, or auto, local or embedded",
            field="address",
        )
    # ray.init would retry for two minutes where nothing listens, and for ever where something else does.
    if (why := why_not(named)) is not None:
        raise RenderError(
            "NO_CLUSTER",
            f"{why} at {named}. Start a head with ./spawn_ray_head.sh, name another with --address, or use "
            "--address local to start Ray on this machine.",
            field="address",
        )
    return named


def running_here() -> str | None:
    """The address that Ray noted when this user last started or joined a cluster here; None: it did not.

    All users can write to Ray's folder: only a small regular file that this user owns, with an address, is trusted.
    """
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - where Ray writes
    try:
        note = os.open(
            Path(folder, "ray", "ray_current_cluster"),
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        )
        with os.fdopen(note, "rb") as file:
            facts = os.fstat(note)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_nlink != 1:
                return None
            text = file.read(_LONGEST_ADDRESS + 1).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    return text if len(text) <= _LONGEST_ADDRESS and _parts(text) else None


def _parts(address: str) -> tuple[str, int] | None:
    """Host and port of HOST:PORT; None when it is not one."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 1 <= int(match[2]) <= 65_535:
        return None
    return match[1].strip("[]"), int(match[2])


def why_not(address: str, own: bool = False) -> str | None:
    """Why no cluster at HOST:PORT can be joined, as the beginning of a sentence; None: it may be one.

    Args:
        own: a program that listens on this machine must be this user's, since it will be told the token.
    """
    if (parts := _parts(address)) is None:
        return "an address is HOST:PORT, and there can be nothing"
    try:
        with socket.create_connection(parts, timeout=_PROBE_SECONDS) as connection:
            here = connection.getsockname()[0] == connection.getpeername()[0]
            if own and here and not _is_ours(parts[1]):
                return "another user's program listens"
            connection.sendall(_PREFACE)
            is_grpc = _is_settings(connection)
        return None if is_grpc and _is_ray(address) else "something that is no Ray head answers"
    except (OSError, ValueError, OverflowError):
        return "no Ray head answers"


def _is_settings(connection: socket.socket) -> bool:
    """Whether the first frame is HTTP/2's settings: length 24 bit, type, flags, stream 0."""
    head = b""
    try:
        while len(head) < 9 and (more := connection.recv(9 - len(head))):
            head += more
    except OSError:  # it waits for something else
        return False
    return len(head) == 9 and head[:1] == b"\0" and head[3] == _SETTINGS and head[5:] == bytes(4)


def _is_ray(address: str) -> bool:
    """Whether the gRPC server there knows Ray's methods; it is told no token."""
    import grpc  # takes a tenth of a second, needed only to join a cluster

    known = []
    with grpc.insecure_channel(
        address, [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        for method in (_RAYS, _NOBODYS):
            try:
                channel.unary_unary(method)(b"", timeout=_PROBE_SECONDS)
                known.append(True)
            except grpc.RpcError as error:
                known.append(error.code() is grpc.StatusCode.UNAUTHENTICATED)
    return known == [True, False]


def _is_ours(port: int) -> bool:
    """Whether all sockets that listen at ``port`` of this machine are this user's, as far as the kernel tells."""
    if sys.platform != "linux":
        return True
    owners = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, rows):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                owners.add(int(fields[7]))
    return owners <= {os.geteuid()}

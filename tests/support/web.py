"""A client of the page's API, by plain HTTP: it sends whatever headers a test likes."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from dataclasses import dataclass

import numpy as np


@dataclass
class Answer:
    """One answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error's code."""
        return self.json["error"]["code"]


class Events:
    """A stream of server-sent events."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse):
        self._connection, self._answer = connection, answer

    def next(self) -> tuple[str, str, dict]:
        """Event, id and data of the next event that has data; what is alive is passed over."""
        fields: dict[str, str] = {}
        while line := self._answer.readline().decode():
            if line.strip():
                name, _, value = line.strip().partition(": ")
                fields[name] = value
            elif fields.get("event", "alive") != "alive":
                return fields["event"], fields["id"], json.loads(fields["data"])
            else:
                fields = {}
        raise EOFError

    def until(self, found, seconds: float = 30) -> list[tuple[str, str, dict]]:
        """All events up to the first of which ``found(event, data)`` is true."""
        heard, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline:
            heard.append(self.next())
            if found(heard[-1][0], heard[-1][2]):
                return heard
        raise AssertionError(f"not heard within {seconds} s: {heard}")

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


class Web:
    """The page's API at a port of this machine.

    Args:
        headers: what is sent with every request beside the page's own Origin.
    """

    def __init__(self, port: int, **headers: str):
        self.port, self.origin, self.headers = port, f"http://127.0.0.1:{port}", headers

    def open(self, method: str, path: str, body=None, timeout: float = 60, **headers: str | None):
        """A connection, and the answer on it, of which the body is still to be read.

        Args:
            body: JSON-ready, or bytes.
            headers: to be sent, ``_`` for ``-``; None leaves out what would be sent else.
        """
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Host": f"127.0.0.1:{self.port}", "Origin": self.origin, "Content-Type": "application/json"}
        sent |= self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        return connection, connection.getresponse()

    def ask(self, method: str, path: str, body=None, **headers: str | None) -> Answer:
        """A request and its whole answer."""
        connection, answer = self.open(method, path, body, **headers)
        try:
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether the service has a renderer, so that tiles and frames are made at once."""
        return self.get("/api/state").json["service"]["driver"]["state"] == "ready"

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body=None, **headers: str | None) -> Answer:
        return self.ask("POST", path, {} if body is None else body, **headers)

    def events(self, last: str | None = None) -> Events:
        """The stream of events, after the one named ``last``."""
        connection, answer = self.open("GET", "/api/events", **({"Last_Event_ID": last} if last else {}))
        assert answer.status == 200, answer.read()
        return Events(connection, answer)

    def raw(self, data: bytes, timeout: float = 30) -> bytes:
        """What is answered to these bytes until the connection is closed, or silent for ``timeout`` s."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            sock.sendall(data)
            found = b""
            try:
                while piece := sock.recv(1 << 16):
                    found += piece
            except (TimeoutError, ConnectionError):
                pass
            return found

    # -- tiles ------------------------------------------------------------

    def anchor(self, level: int, x: int, y: int) -> str:
        """The name of an anchor."""
        told = self.post("/api/anchors", {"level": level, "x": format(x, "x"), "y": format(y, "x")})
        assert told.status == 200, told.body
        return told.json["anchor"]

    def tiles(self, anchor: str, maxiter: int, places: list, step: int = 1) -> dict[int, np.ndarray | dict]:
        """The values of tiles by index, float32; or what was said in place of one."""
        told = self.post("/api/tiles", {"anchor": anchor, "maxiter": maxiter, "step": step, "tiles": places})
        assert told.status == 200, told.body
        found, at = {}, 0
        while at < len(told.body):
            index, size = struct.unpack_from("<II", told.body, at)
            body = told.body[at + 8 : at + 8 + size]
            at += 8 + size
            if index != 2**32 - 1:
                found[index] = json.loads(body) if body[:1] == b"{" else tile_values(body, maxiter)
        return found


def tile_values(body: bytes, maxiter: int) -> np.ndarray:
    """The smooth counts of a tile's body, float32."""
    magic, cols, rows, limit, flags = struct.unpack_from("<4sHHII", body)
    assert (magic, limit) == (b"MTL1", maxiter)
    values = np.frombuffer(body, "<f4", offset=16)
    return np.full((rows, cols), values[0]) if flags & 1 else values.reshape(rows, cols)

"""Which cluster is joined: nothing that another user can write is trusted, and nobody odd is told the token."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from mandel.driver.executors import ray_cluster
from mandel.errors import MandelError

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture
def note(tmp_path, monkeypatch):
    """Where Ray notes the cluster that runs here."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


@pytest.fixture
def answering():
    """start(words) -> HOST:PORT of somebody who answers so; and what he heard."""
    sockets, heard = [], []

    def start(words: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def listen() -> None:
            while True:
                try:
                    with listening.accept()[0] as connection:
                        connection.settimeout(10)
                        heard.append(connection.recv(1 << 16))
                        connection.sendall(words)
                        while data := connection.recv(1 << 16):
                            heard.append(data)
                except OSError:
                    if listening.fileno() < 0:
                        return

        threading.Thread(target=listen, daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield start, heard
    for listening in sockets:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


@pytest.fixture
def serving():
    """start(ray, other) -> HOST:PORT of a gRPC server that answers Ray's methods, and all others, so."""
    servers = []

    def start(ray: grpc.StatusCode, other: grpc.StatusCode) -> str:
        class Answer(grpc.GenericRpcHandler):
            def service(self, details):
                def answer(request, context):
                    code = ray if details.method.startswith("/ray.rpc.NodeInfoGcsService/") else other
                    assert not any("auth" in key for key, _ in context.invocation_metadata())
                    return b"" if code is grpc.StatusCode.OK else context.abort(code, "no")

                return grpc.unary_unary_rpc_method_handler(answer)

        servers.append(grpc.server(ThreadPoolExecutor(2), [Answer()]))
        port = servers[-1].add_insecure_port("127.0.0.1:0")
        servers[-1].start()
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0).wait()


@pytest.mark.parametrize("ray", ["UNAUTHENTICATED", "OK"])
def test_the_cluster_of_this_user_is_found(note, serving, ray):
    assert ray_cluster.find_cluster("auto") is None
    address = serving(grpc.StatusCode[ray], grpc.StatusCode.UNIMPLEMENTED)
    note.write_text(address + "\n")
    assert ray_cluster.find_cluster("auto") == note.read_text().strip()
    assert ray_cluster.find_cluster("local") is None


def odd(kind: str, note, address: str) -> None:
    if kind == "link":
        (note.parent / "theirs").write_text(address)
        note.symlink_to(note.parent / "theirs")
    elif kind == "hard link":
        (note.parent / "theirs").write_text(address)
        os.link(note.parent / "theirs", note)
    elif kind == "folder":
        note.mkdir()
    elif kind == "pipe":
        os.mkfifo(note)
    elif kind == "unreadable":
        note.write_text(address)
        note.chmod(0)
    elif kind == "another user's":
        note.write_text(address)
        os.chown(note, 65534, 65534)
    else:
        note.write_bytes(
            {
                "no text": b"\xff\xfe",
                "no address": b"hello",
                "empty": b"",
                "no port": b"127.0.0.1:",
                "zero": b"h\0st:1",
                "huge port": b"127.0.0.1:99999999999999999999",
                "port 65536": b"127.0.0.1:65536",
                "long": b"a" * 10_000 + b":1",
                "two lines": f"{address}\n{address}".encode(),
                "huge": bytes(50_000_000),
                "digits": "127.0.0.1:\u0661".encode(),
            }[kind]
        )


@pytest.mark.parametrize(
    "kind",
    [
        "link",
        "hard link",
        "folder",
        "pipe",
        "unreadable",
        "another user's",
        "no text",
        "no address",
        "empty",
        "no port",
        "zero",
        "huge port",
        "port 65536",
        "long",
        "two lines",
        "huge",
        "digits",
    ],
)
def test_what_is_odd_is_none(note, answering, kind):
    """attacks.md 2.3: any user could name a cluster, and was told the token; or stop the driver by a text."""
    if (os.geteuid() == 0 and kind == "unreadable") or (os.geteuid() != 0 and kind == "another user's"):
        pytest.skip("root reads everything, and root alone gives files away")
    odd(kind, note, answering[0](SETTINGS))
    assert ray_cluster.find_cluster("auto") is None and not answering[1]


def test_another_user_who_listens_is_not_joined(note, answering, monkeypatch):
    """The cluster of this user has ended, and somebody else took its port."""
    note.write_text(answering[0](SETTINGS))
    monkeypatch.setattr(os, "geteuid", lambda: note.stat().st_uid + 1)
    assert not ray_cluster._is_ours(int(note.read_text().rpartition(":")[2]))
    monkeypatch.setattr(ray_cluster, "running_here", note.read_text)
    assert ray_cluster.find_cluster("auto") is None and not b"".join(answering[1])


@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 505 no\r\n\r\n", b"-ERR unknown command 'PRI'\r\n", b"", b"\0\0"]
)
def test_a_port_that_answers_and_is_no_ray_is_told(answering, monkeypatch, words):
    """attacks.md 2.14: "starting", without an error, for as long as one looked."""
    monkeypatch.setattr(ray_cluster, "_PROBE_SECONDS", 0.5)
    with pytest.raises(MandelError, match="something that is no Ray head answers") as caught:
        ray_cluster.find_cluster(answering[0](words))
    assert caught.value.code == "NO_CLUSTER" and all(b"Bearer" not in said for said in answering[1])


@pytest.mark.parametrize("answers", ["UNIMPLEMENTED", "UNAUTHENTICATED", "OK", "INTERNAL"])
def test_a_grpc_server_that_is_no_ray_is_told(serving, answers):
    address = serving(grpc.StatusCode[answers], grpc.StatusCode[answers])
    with pytest.raises(MandelError, match="something that is no Ray head answers"):
        ray_cluster.find_cluster(address)


def test_a_server_that_begins_as_grpc_does_and_then_says_nothing_is_told(answering, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_PROBE_SECONDS", 0.5)
    with pytest.raises(MandelError, match="something that is no Ray head answers"):
        ray_cluster.find_cluster(answering[0](SETTINGS))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379"])
def test_where_nobody_answers_that_is_told(address):
    with pytest.raises(MandelError) as caught:
        ray_cluster.find_cluster(address)
    assert caught.value.code == "NO_CLUSTER"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:70000",
        ":1",
        "x:y",
        "h\0:1",
        "a b:1",
    ],
)
def test_what_is_no_address_is_told(address):
    with pytest.raises(MandelError) as caught:
        ray_cluster.find_cluster(address)
    assert caught.value.code == "BAD_SETTING"

"""The shared token and TLS."""

import json
import os
import socket
import ssl
import subprocess
import sys

import pytest

from mandel.errors import MandelError
from mandel.server.access import Access, is_loopback
from mandel.settings import Settings
from tests.server.heads import SMALL, Reply
from tests.support.service import ROOT

CERTIFICATE = ROOT / "tests" / "reference" / "localhost.pem"


def client(head, folder, *options: str) -> subprocess.CompletedProcess:
    payload = folder / "payload.json"
    payload.write_text(json.dumps(SMALL))
    command = [sys.executable, str(ROOT / "client.py"), "--port", str(head.port), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


def test_what_is_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "head.example")))


def test_beyond_loopback_a_token_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Access(Settings()).admit(None)
    assert not (tmp_path / ".mandel").exists()
    access = Access(Settings(host="0.0.0.0"))
    file = tmp_path / ".mandel" / "token"
    assert file.stat().st_mode & 0o777 == 0o600 and len(file.read_text().strip()) == 64
    for wrong in (None, "", "x", "ö" * 64):
        with pytest.raises(MandelError, match="token") as refused:
            access.admit(wrong)
        assert refused.value.code == "UNAUTHORIZED"
    access.admit(file.read_text().strip())
    Access(Settings(host="0.0.0.0")).admit(file.read_text().strip())


@pytest.mark.parametrize("settings", [{"tls_cert": "/nowhere.pem"}, {"token_file": "short"}])
def test_bad_settings_are_refused(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("1234\n")
    with pytest.raises(MandelError) as refused:
        Access(Settings(**settings))
    assert refused.value.code == "BAD_SETTING"


def test_every_request_needs_the_token(heads, tmp_path):
    head = heads("--token-file", str(tmp_path / "token"))
    token = (tmp_path / "token").read_text().strip()
    for fields in (SMALL, {"op": "list"}, {"op": "attach", "job": "0" * 64}, SMALL | {"token": "f" * 64}):
        reply = head.ask(**fields)
        assert reply.code == "UNAUTHORIZED" and token not in reply.last["message"]
    assert head.ask(op="list", token=7).code == "WRONG_TYPE"
    assert head.ask(**SMALL, token=token).video
    assert client(head, tmp_path, "--list").returncode == 2
    assert client(head, tmp_path, "--list", "--token-file", str(tmp_path / "token")).returncode == 0
    out = client(head, tmp_path, "payload.json", "--token-file", str(tmp_path / "token"), "-o", "out.mp4")
    assert out.returncode == 0 and (tmp_path / "out.mp4").exists(), out.stderr
    assert token not in head.said()


def test_a_token_is_no_part_of_a_job(heads, tmp_path):
    head = heads()
    first = head.ask(**SMALL).parts[0].fields["job"]
    assert head.ask(**SMALL, token="whatever it is").parts[0].fields["job"] == first


def test_tls(heads, tmp_path):
    head = heads("--tls-cert", str(CERTIFICATE))
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    with trust.wrap_socket(head.connect(), server_hostname="localhost") as sock:
        sock.sendall(json.dumps(SMALL).encode())
        assert Reply(sock).read().video
    out = client(head, tmp_path, "payload.json", "--tls-ca", str(CERTIFICATE), "-o", "out.mp4")
    assert out.returncode == 0 and (tmp_path / "out.mp4").exists(), out.stderr
    # Whoever does not trust the certificate, or speaks no TLS, gets nothing.
    assert client(head, tmp_path, "--list").returncode != 0
    with head.connect() as sock, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
    with head.connect() as sock:
        sock.sendall(b'{"op": "list"}')
        try:
            assert b"jobs" not in b"".join(iter(lambda: sock.recv(1 << 16), b""))
        except ConnectionError:
            pass
    with socket.create_connection(("127.0.0.1", head.port)) as silent:
        assert silent  # a peer that says nothing holds up nobody
        assert client(head, tmp_path, "--list", "--tls-ca", str(CERTIFICATE)).returncode == 0
    assert os.path.exists(head.db) and head.stop() == 0

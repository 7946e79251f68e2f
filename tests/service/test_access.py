"""The shared token and TLS."""

import json
import os
import socket
import ssl
import subprocess
import sys

import pytest

from mandel.errors import MandelError
from mandel.service.net.access import Access, is_loopback
from mandel.service.service import Service
from mandel.settings import Settings
from tests.service.heads import SMALL, Reply
from tests.support.service import ROOT

CERTIFICATE = ROOT / "tests" / "reference" / "localhost.pem"


def client(head, folder, *options: str) -> subprocess.CompletedProcess:
    payload = folder / "payload.json"
    payload.write_text(json.dumps(SMALL))
    command = [sys.executable, str(ROOT / "client.py"), "--port", str(head.port), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


def test_what_is_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "fe80::1%eth0")))


def test_a_name_is_judged_by_the_address_that_was_bound(tmp_path, monkeypatch):
    """A resolver may call anything localhost; here it is all interfaces."""
    real, hit = socket.getaddrinfo, []

    def resolve(host, *rest, **how):
        hit.append(host)
        return real("0.0.0.0" if host == "localhost" else host, *rest, **how)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("HOME", str(tmp_path))
    service = Service(Settings(host="localhost", port=0, db=str(tmp_path / "DB")), [])
    try:
        assert "localhost" in hit and service.listener.host == "0.0.0.0" and not service.listener.is_private
        with pytest.raises(MandelError, match="token"):
            service.access.admit(None)
    finally:
        service.listener.start()
        service.listener.stop_accepting()
        service.listener.close(1)
        service.store.close()


def test_beyond_loopback_a_token_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Access(Settings(), "127.0.0.1").admit(None)
    assert not (tmp_path / ".mandel").exists()
    access = Access(Settings(), "0.0.0.0")
    file = tmp_path / ".mandel" / "token"
    assert file.stat().st_mode & 0o777 == 0o600 and len(file.read_text().strip()) == 64
    for wrong in (None, "", "x", "ö" * 64):
        with pytest.raises(MandelError, match="token") as refused:
            access.admit(wrong)
        assert refused.value.code == "UNAUTHORIZED"
    access.admit(file.read_text().strip())
    Access(Settings(), "192.0.2.1").admit(file.read_text().strip())


@pytest.mark.parametrize("settings", [{"tls_cert": "/nowhere.pem"}, {"token_file": "short"}])
def test_bad_settings_are_refused(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("1234\n")
    with pytest.raises(MandelError) as refused:
        Access(Settings(**settings), "127.0.0.1")
    assert refused.value.code == "BAD_SETTING"


def test_every_request_needs_the_token(heads, tmp_path):
    head = heads("--token-file", str(tmp_path / "token"))
    token = (tmp_path / "token").read_text().strip()
    for fields in (SMALL, {"op": "list"}, {"op": "attach", "job": "0" * 64}, SMALL | {"token": "f" * 64}):
        reply = head.ask(**fields)
        assert reply.code == "UNAUTHORIZED" and token not in reply.last["message"]
    assert head.ask(**SMALL, token=token).video
    assert client(head, tmp_path, "--list").returncode == 2
    assert client(head, tmp_path, "--list", "--token-file", str(tmp_path / "token")).returncode == 0
    out = client(head, tmp_path, "payload.json", "--token-file", str(tmp_path / "token"), "-o", "out.mp4")
    assert out.returncode == 0 and (tmp_path / "out.mp4").exists(), out.stderr
    assert token not in head.said()


# What would be told of each by a service that wants no token.
BEFORE_THE_TOKEN = {
    b'{"op": "nosuch"}': "UNKNOWN_VALUE",
    b'{"op": 7}': "WRONG_TYPE",
    b'{"op": "cancel", "job": "x"}': "NOT_FOUND",
    b'{"op": "list", "x": 1}': "UNKNOWN_FIELD",
    b'{"op": "attach"}': "MISSING_FIELD",
    b'{"priority": 99}': "OUT_OF_RANGE",
    b'{"client": 1}': "WRONG_TYPE",
    b'{"frame_width": 3}': "OUT_OF_RANGE",
    b'{"x": 1}': "UNKNOWN_FIELD",
    b'{"token": null}': "WRONG_TYPE",
    b'{"token": 7}': "WRONG_TYPE",
    b"[1]": "NOT_OBJECT",
    b"{'a'": "BAD_JSON",
    b'{"a": "\xff"}': "BAD_UTF8",
    b'{"a": 1, "a": 2}': "DUPLICATE_KEY",
    b"[" * 40: "TOO_DEEP",
    b"7 ": "NOT_OBJECT",
    b'{"a": "' + b"x" * 70_000: "TOO_LARGE",
    b"{} {}": "TRAILING_DATA",
    b'{"op": ': "TRUNCATED",
    b'{"op": "status", "job": "' + b"0" * 64 + b'"}': "NOT_FOUND",
    b'{"op": "recolour"}': "MISSING_FIELD",
}


def test_nothing_but_the_refusal_is_told_before_the_token(heads, tmp_path):
    def told(head, raw: bytes) -> dict:
        with head.connect() as sock:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            return Reply(sock).read().parts

    guarded = heads("--token-file", str(tmp_path / "token"))
    known = {}
    for raw in BEFORE_THE_TOKEN:
        (part,) = told(guarded, raw)
        assert part.fields["code"] == "UNAUTHORIZED", (raw[:40], part.fields)
        known[part.fields["message"]] = raw
    assert len(known) == 1, known  # the same words, whatever was asked
    token = (tmp_path / "token").read_text().strip()
    assert guarded.ask(op="nosuch", token=token).code == "UNKNOWN_VALUE"
    guarded.end()
    free = heads()
    for raw, code in BEFORE_THE_TOKEN.items():
        assert told(free, raw)[-1].fields.get("code") == code, raw[:40]


@pytest.mark.parametrize("mode, word", [(0o600, False), (0o644, True), (0o660, True)])
def test_a_token_that_others_can_read_is_mended_in_words(tmp_path, caplog, mode, word):
    file = tmp_path / "token"
    file.write_text("0123456789abcdef" * 2)
    file.chmod(mode)
    Access(Settings(token_file=str(file)), "127.0.0.1").admit("0123456789abcdef" * 2)
    assert file.stat().st_mode & 0o777 == 0o600 and ("0600" in caplog.text) is word


def test_a_token_is_a_regular_file_of_ours(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MandelError, match="no regular file"):
        Access(Settings(token_file=str(tmp_path / "pipe")), "127.0.0.1")
    if os.geteuid() == 0:  # only root can give a file away
        (tmp_path / "theirs").write_text("0123456789abcdef" * 2)
        os.chown(tmp_path / "theirs", 65534, 65534)
        with pytest.raises(MandelError, match="another user"):
            Access(Settings(token_file=str(tmp_path / "theirs")), "127.0.0.1")


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

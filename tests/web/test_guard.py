"""Who may ask the page's API, and what every answer says to the browser."""

import asyncio
import gzip
import json
import socket
import ssl
import urllib.request
from functools import reduce
from pathlib import Path
from types import SimpleNamespace

import pytest

from mandel.cli.head import _link
from mandel.payload.payload import parse
from mandel.service.net.listener import listen
from mandel.service.service import Service
from mandel.settings import Settings
from mandel.web.answers import OffLoop
from mandel.web.guard import HEADERS, host_name
from mandel.web.server import WebServer
from tests.service.heads import SMALL
from tests.service.test_access import CERTIFICATE
from tests.support.web import Web

NOBODY = "0" * 64
OTHER = SMALL | {"maxiter": 11}  # of this module's head, what only one test asks for
SMALL_JOB = parse(OTHER).job_id()
GUARDED = ("/api/", "/tile/", "/media/")


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Method and path of everything that is served, HEAD apart."""
    service = Service(Settings(port=0, db=str(tmp_path_factory.mktemp("routes") / "DB")), [])
    port = listen("127.0.0.1", 0)

    async def look():
        return [
            (route.method, route.resource.canonical)
            for route in WebServer(service, port, (), 512)._app(OffLoop(), OffLoop()).router.routes()
            if route.method != "HEAD"
        ]

    try:
        found = asyncio.run(look())
    finally:
        port.close()
        service.listener.start()
        service.listener.stop_accepting()
        service.listener.close(1)
        service.store.close()
    assert len(found) > 20
    values = {
        "{job}": NOBODY, "{verb}": "cancel", "{version}": "x", "{path}": "main.js", "{anchor}": "0" * 32,
        "{engine}": "3", "{maxiter}": "9", "{dlevel}": "0", "{dx}": "0", "{dy}": "0",
    }  # fmt: skip
    paths = []
    for method, canonical in found:
        path = reduce(lambda done, pair: done.replace(*pair), values.items(), canonical)
        assert "{" not in path, path
        paths.append((method, path))
    return paths


@pytest.mark.parametrize(
    "host, name",
    [
        ("localhost", "localhost"),
        ("LocalHost:65433", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:65433", "::1"),
        ("[::1]", "::1"),
        ("", ""),
        (":80", ""),
        ("a:b", ""),
        ("::1", ""),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example"),
        ("[2001:DB8::1]:80", "2001:db8::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[fe80::1%evil.example]", ""),
        ("[fe80::1%25evil.example]:80", ""),
        ("fe80::1%evil.example", ""),
        ("[localhost]", ""),
        ("[127.0.0.1]", ""),
        ("[::1].evil.example", ""),
        ("[::1]@evil.example", ""),
        ("evil.example@[::1]", ""),
        ("evil@localhost", ""),
        ("localhost:80@evil.example", ""),
        ("localhost:", ""),
        ("localhost:80:80", ""),
        ("localhost:+80", ""),
        ("localhost:٨٠", ""),
        ("localhost, evil.example", ""),
        ("localhost/evil.example", ""),
        ("mar\u212a.example", ""),  # a Kelvin sign, of which lower() makes a letter
        ("localhost.", "localhost."),
        ("localhost\n", ""),
    ],
)
def test_the_name_in_a_host_header(host, name):
    assert host_name(host) == name


def test_no_route_answers_to_a_foreign_name(web, routes):
    for method, path in routes:
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "localhost@evil",
            "[fe80::1%evil.example]",
            "[fe80::1%25evil.example]:80",
            "[localhost]",
            "localhost.",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "",
        ):
            told = web.ask(method, path, Host=host, Origin=f"http://{host}")
            assert told.status in (400, 421), (method, path, host, told)
        if path != "/api/events":
            assert web.ask(method, path, Host=f"localhost:{web.port}", Origin=None).status != 421
    assert b" 421 " in web.raw(b"GET / HTTP/1.0\r\n\r\n")
    twice = b"Host: localhost\r\nHost: evil.example\r\n"
    assert b" 400 " in web.raw(b"GET / HTTP/1.1\r\n" + twice + b"Connection: close\r\n\r\n")


def test_a_name_may_be_allowed(heads):
    _, web = heads("--web-name", "mandel.example, other.example")
    assert web.get("/api/state", Host="mandel.example", Origin=None).status == 200
    assert web.get("/api/state", Host="OTHER.example:99", Origin=None).status == 200
    assert web.get("/api/state", Host="more.example", Origin=None).status == 421


def test_only_the_page_itself_changes_anything(head, web, routes):
    foreign = [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{web.port}"},  # the same service, another origin
        {"Origin": f"https://127.0.0.1:{web.port}"},
        {"Origin": None},
        {"Origin": None, "Sec_Fetch_Site": "cross-site"},
        {"Origin": None, "Sec_Fetch_Site": "same-site"},
        {"Origin": None, "Sec_Fetch_Site": "none"},
    ]
    changing = [(method, path) for method, path in routes if method != "GET"]
    assert {method for method, _ in changing} == {"POST", "DELETE"}
    for method, path in [*changing, ("PUT", "/api/jobs"), ("PATCH", "/"), ("OPTIONS", "/api/jobs")]:
        for headers in foreign:
            told = web.ask(method, path, OTHER, **headers)
            assert (told.status, told.code) == (403, "FOREIGN_ORIGIN"), (method, path, headers)
            assert not [name for name in told.headers if name.lower().startswith("access-control")]
    assert SMALL_JOB not in [row["job"] for row in head.ask(op="list").last["jobs"]]
    assert web.post("/api/jobs", OTHER, Origin=None, Sec_Fetch_Site="same-origin").json["job"] == SMALL_JOB


def test_other_pages_read_nothing(web, routes):
    guarded = [path for method, path in routes if method == "GET" and path.startswith(GUARDED)]
    assert len(guarded) >= 7
    for path in guarded:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": None, "Sec_Fetch_Site": "cross-site"},
            {"Origin": None, "Sec_Fetch_Site": "same-site"},
        ):
            assert web.get(path, **headers).code == "FOREIGN_ORIGIN", (path, headers)
    # A link in a chat leads to the page all the same.
    assert web.get("/", Origin=None, Sec_Fetch_Site="cross-site").status == 200


def test_every_answer_forbids_what_it_does_not_need(web, routes):
    answers = [web.ask(method, path) for method, path in routes if path != "/api/events"]
    answers += [web.get("/nothing"), web.get("/", Host="evil.example"), web.ask("POST", "/api/jobs", b"{")]
    for told in answers:
        for name, value in HEADERS.items():
            assert told.headers[name] == value or (b"FOREIGN_HOST" in told.body and "Opener" in name), (
                told,
                name,
            )
    csp = dict(part.strip().partition(" ")[::2] for part in HEADERS["Content-Security-Policy"].split(";"))
    assert csp["default-src"] == csp["frame-ancestors"] == csp["base-uri"] == "'none'"
    assert csp["script-src"] == csp["style-src"] == csp["connect-src"] == "'self'"
    assert not any(word in HEADERS["Content-Security-Policy"] for word in ("unsafe", "data:", "*", "http"))


def test_the_page_holds_no_inline_script(web):
    page = web.get("/").body.decode()
    assert (
        "__VERSION__" not in page
        and "<style" not in page
        and " style=" not in page
        and "javascript:" not in page
    )
    for script in page.split("<script")[1:]:
        tag, _, content = script.partition(">")
        assert "src=" in tag and content.startswith("</script>")
    assert not [word for word in page.replace("<", " ").split() if word.startswith("on") and "=" in word]


def test_names_and_messages_are_json_that_is_not_sniffed(web):
    evil = "<script>alert(1)</script>"
    told = web.post("/api/jobs", {**SMALL, "client": evil})
    assert told.status == 202 and told.headers["Content-Type"] == "application/json"
    told = web.post("/api/jobs", {**SMALL, evil: 1})
    assert told.code == "UNKNOWN_FIELD" and told.headers["Content-Type"] == "application/json"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    for path in (f"/{evil}", f"/api/jobs/{evil}", f"/static/x/{evil}"):
        told = web.get(urllib.request.quote(path))
        assert told.status == 404 and b"<script" not in told.body


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../server.py",
        "/static/x/..%2fserver.py",
        "/static/x/%2e%2e/server.py",
        "/static/x//etc/passwd",
        "/static/x/..%5cserver.py",
        "/static/../../DB/index.sqlite",
        "/static/x/main.js%00.html",
        "/media/../DB/video.mp4",
        "/static/x/vendor",
        "/server.py",
    ],
)
def test_nothing_but_the_page_is_served(web, path):
    assert web.get(path).status in (400, 404)


def test_a_body_is_json_of_bounded_size(web):
    assert web.post("/api/jobs", SMALL, Content_Type="text/plain").status == 415
    assert web.post("/api/jobs", SMALL, Content_Type=None).status == 415
    assert web.post("/api/jobs", b" " * 70_000 + b"{}").status == 413
    assert web.post("/api/anchors", {"level": 1, "x": "1" * 300_000, "y": "0"}).status == 413
    assert web.post("/api/anchors", b"[" * 100_000).code == "TOO_DEEP"
    for path in ("/api/anchors", "/api/place", f"/api/jobs/{NOBODY}/recolour"):
        assert web.post(path, b"[" + b'"",' * 80_000 + b"0]").code == "TOO_LARGE", path
    assert web.post("/api/anchors", b'{"level": 1, "level": 2}').code == "DUPLICATE_KEY"
    assert web.post("/api/login", b"\xff").code == "BAD_UTF8"
    assert web.post("/api/jobs", b"{").code == "TRUNCATED"
    long = web.raw(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert long == b"" or b" 400 " in long[:13]
    assert web.get("/api/state").status == 200


def test_a_compressed_body_is_not_unpacked(web):
    """Two megabytes of one would be gigabytes, unpacked while all others wait, whatever is asked for."""
    body = gzip.compress(b" " * 100 + b"{}")
    assert web.post("/api/anchors", body, Content_Encoding="gzip").code in ("BAD_UTF8", "BAD_JSON")
    assert web.ask("GET", "/", body, Content_Encoding="gzip").status == 200


def test_who_says_nothing_is_closed(heads):
    _, web = heads("--request-timeout", "1")
    for opening in (b"", b"GET / HT", b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\n"):
        with socket.create_connection(("127.0.0.1", web.port), 30) as sock:
            sock.sendall(opening)
            assert sock.recv(1) == b""


@pytest.fixture
def guarded(heads, tmp_path):
    """A head that wants a token, a client, and the token."""
    file = tmp_path / "token"
    file.write_text("t" * 32)
    file.chmod(0o600)
    _, web = heads("--token-file", str(file))
    return web, "t" * 32


def test_without_a_session_nothing_is_told(guarded, routes):
    web, token = guarded
    for method, path in routes:
        if path.startswith(GUARDED) and path not in ("/api/login", "/api/state"):
            for cookie in (
                None,
                "mandel-session=",
                f"mandel-session={token}",
                "mandel-session=x" * 400,
                "mandel-session=\xff",
            ):
                told = web.ask(method, path, {}, Cookie=cookie)
                assert (told.status, told.code) == (401, "UNAUTHORIZED"), (method, path)
    assert web.get("/api/state").json.keys() == {"version", "session"}
    assert web.get("/api/state").json["session"] == {"needed": True, "open": False}
    assert web.get("/").status == 200


def test_the_token_opens_a_session_and_its_end_closes_it(guarded):
    web, token = guarded
    told = web.post("/api/login", {"token": token})
    cookie = told.headers["Set-Cookie"]
    assert told.status == 200 and token not in cookie and token.encode() not in told.body
    name, *attributes = (part.strip() for part in cookie.split(";"))
    assert name.startswith("mandel-session=") and len(name) > 50
    assert {"httponly", "path=/", "samesite=lax"} <= {attribute.lower() for attribute in attributes}
    assert web.post("/api/login", {"token": token}).headers["Set-Cookie"] != cookie
    session = Web(web.port, Cookie=name)
    assert session.get("/api/jobs").json == {"jobs": []}
    assert session.get("/api/state").json["session"] == {"needed": True, "open": True}
    events = session.events()
    assert session.ask("DELETE", "/api/login").status == 200
    assert session.get("/api/jobs").status == 401
    events.close()


def test_a_guesser_is_slowed_down(guarded):
    web, token = guarded
    codes = [web.post("/api/login", {"token": f"wrong {n}"}).code for n in range(12)]
    assert codes == ["UNAUTHORIZED"] * 10 + ["TOO_MANY_TRIES"] * 2
    assert web.post("/api/login", {"token": token}).status == 429


def test_tls_is_that_of_the_socket(heads, tmp_path):
    file = tmp_path / "token"
    file.write_text("t" * 32)
    file.chmod(0o600)
    head, web = heads("--token-file", str(file), "--tls-cert", str(CERTIFICATE))
    assert f"the web page: https://127.0.0.1:{web.port}/" in head.said()
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    origin = f"https://localhost:{web.port}"
    asked = urllib.request.Request(
        f"{origin}/api/login",
        json.dumps({"token": "t" * 32}).encode(),
        {"Content-Type": "application/json", "Origin": origin},
    )
    with urllib.request.urlopen(asked, context=context) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-mandel-session=") and "Secure" in cookie
    assert b"HTTP" not in web.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", timeout=5)


def test_the_socket_says_where_the_page_is(head, web):
    with head.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = sock.makefile("rb").read()
    assert f"http://127.0.0.1:{web.port}/".encode() in said
    assert f"the web page: http://127.0.0.1:{web.port}/" in head.said()


def test_it_can_be_turned_off(heads):
    head, _ = heads("--web-port", "0")
    assert "web page" not in head.said()
    with head.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"client.py" in sock.makefile("rb").read()


def test_a_port_that_is_taken_costs_the_page_alone(heads, tmp_path):
    _, web = heads()
    other, _ = heads("--db", str(tmp_path / "other"), port=web.port)
    assert "--web-port" in other.said() and other.ask(op="status").last["version"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    "host, shown", [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", socket.gethostname())]
)
def test_the_link_carries_the_token_on_a_terminal_alone(monkeypatch, host, shown, terminal):
    page = SimpleNamespace(host=host, port=65433, scheme="https")
    access = SimpleNamespace(token_file=Path("token"), token="secret")
    service = SimpleNamespace(listener=SimpleNamespace(web=None), access=access)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: terminal))
    link = _link(page, service)
    assert link.startswith(f"https://{shown}:65433/") and ("#token=secret" in link) == terminal
    assert "secret" not in service.listener.web  # which anybody is told
    access.token_file = None
    assert _link(page, service) == f"https://{shown}:65433/"

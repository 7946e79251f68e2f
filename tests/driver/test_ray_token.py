"""Ray's token: made for this user alone, mended in words, and words where it cannot be made."""

import os

import pytest

from mandel.driver.executors.ray_token import ensure_token
from mandel.errors import MandelError


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "ray" / "auth_token"))
    return tmp_path / "ray" / "auth_token"


def test_it_is_made_once(path):
    assert ensure_token() == "" and path.stat().st_mode & 0o777 == 0o600
    token = path.read_text()
    assert len(token) == 64 and ensure_token() == "" and path.read_text() == token
    path.chmod(0o644)
    assert "0600" in ensure_token() and path.stat().st_mode & 0o777 == 0o600


def test_where_it_cannot_be_made_that_is_told(path):
    path.parent.write_text("a file where a folder should be")
    with pytest.raises(MandelError, match="RAY_AUTH_TOKEN_PATH") as caught:
        ensure_token()
    assert caught.value.code == "NO_TOKEN"


def test_what_is_no_file_is_refused(path):
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(MandelError, match="no regular file"):
        ensure_token()

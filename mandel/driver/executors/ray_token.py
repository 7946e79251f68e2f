"""Makes Ray's cluster token before ray is imported, readable by this user alone."""

from __future__ import annotations

import os
from pathlib import Path

from mandel import secret
from mandel.errors import MandelError


def token_path() -> Path:
    """Where Ray looks for the token."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()


def ensure_token() -> str:
    """Turns token authentication on; call it before ray is imported, which reads the variables.

    Without a token Ray runs anybody's code (CVE-2023-48022). Ray would write
    the file itself, with mode 0644.

    Returns:
        What people should know of the file; usually nothing.

    Raises:
        MandelError: NO_TOKEN.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ["RAY_AUTH_MODE"] != "token" or "RAY_AUTH_TOKEN" in os.environ:
        return ""
    path = token_path()
    try:
        if secret.make(path):
            return ""
        return secret.read(path)[1]
    except (OSError, RuntimeError, MandelError) as error:
        why = error.message if isinstance(error, MandelError) else getattr(error, "strerror", None) or error
        raise MandelError(
            "NO_TOKEN",
            f"Ray's token file {path} cannot be made or used: {why}. Make its folder writable, or name "
            "another file in RAY_AUTH_TOKEN_PATH",
        ) from error

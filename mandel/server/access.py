"""Who may talk to the service: the shared token, and TLS."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import ssl
from pathlib import Path

from mandel.errors import MandelError, RequestError
from mandel.settings import Settings

_DEFAULT = Path("~/.mandel/token")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """What a peer must show.

    Args:
        settings: of the service; ``host`` decides whether a token is wanted anyway.

    Attributes:
        token_file: where the token is; None when none is wanted.
        tls: what the port speaks; None without a certificate.

    Raises:
        MandelError: BAD_SETTING.
    """

    def __init__(self, settings: Settings):
        path = settings.token_file or ("" if is_loopback(settings.host) else _DEFAULT)
        self.token_file = Path(path).expanduser() if path else None
        self._token = _token(self.token_file) if self.token_file else None
        self.tls = None
        if settings.tls_cert:
            try:
                self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.tls.load_cert_chain(settings.tls_cert, settings.tls_key or None)
            except OSError as error:
                why = "no PEM certificate with its key" if isinstance(error, ssl.SSLError) else error.strerror
                raise MandelError(
                    "BAD_SETTING", f"the certificate cannot be used: {why}; check --tls-cert and --tls-key",
                    field="tls_cert",
                ) from error

    @property
    def encrypted(self) -> bool:
        """Whether the port speaks TLS."""
        return self.tls is not None

    def admit(self, token: str | None) -> None:
        """Lets a request in.

        Raises:
            RequestError: UNAUTHORIZED.
        """
        if self._token is None or hmac.compare_digest(self._token.encode(), (token or "").encode()):
            return
        raise RequestError(
            "UNAUTHORIZED",
            "this service wants its token: copy the head's token file here and name it with --token-file "
            "(in JSON: the field \"token\")" if token is None else "the token is not this service's",
            field="token",
        )


def _token(path: Path) -> str:
    """The token in ``path``, which is made if it is missing, for this user alone."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        except FileExistsError:
            pass
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MandelError(
            "BAD_SETTING", f"cannot read the token {path}: {getattr(error, 'strerror', error)}; check --token-file",
            field="token_file",
        ) from error
    if len(token) < 16:
        raise MandelError(
            "BAD_SETTING",
            f"the token in {path} is shorter than 16 characters; remove the file to have one made",
            field="token_file",
        )
    return token

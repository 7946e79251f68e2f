"""Decides who may talk to the service: the shared token, and TLS."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import ssl
from pathlib import Path

from mandel import secret
from mandel.errors import MandelError, RequestError
from mandel.settings import Settings

_log = logging.getLogger("mandel")

_DEFAULT = Path("~/.mandel/token")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens at an address, as the socket has it: no name."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


class Access:
    """What a client must show to be let in: a token, or nothing.

    Args:
        settings: of the service.
        bound: the address that the service listens at. Beyond loopback a token is always wanted. ``settings.host``
            cannot decide that: it may be a name, which is whatever the resolver makes of it.

    Attributes:
        token_file: where the token is; None when none is wanted.
        tls: the context of a port that speaks TLS; None without a certificate.

    Raises:
        MandelError: BAD_SETTING.
    """

    def __init__(self, settings: Settings, bound: str):
        path = settings.token_file or ("" if is_loopback(bound) else _DEFAULT)
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
                    "BAD_SETTING",
                    f"the certificate cannot be used: {why}; check --tls-cert and --tls-key",
                    field="tls_cert",
                ) from error

    @property
    def token(self) -> str:
        """What clients must send; "" when no token is wanted."""
        return self._token or ""

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
            '(in JSON: the field "token"; what is no JSON object, or too large a one, shows none)'
            if token is None
            else "the token is not this service's",
            field="token",
        )


def _token(path: Path) -> str:
    """The token in ``path``, which is made if it is missing, for this user alone."""
    try:
        secret.make(path, "\n")
        token, word = secret.read(path)
    except (OSError, MandelError) as error:
        why = error.message if isinstance(error, MandelError) else error.strerror
        raise MandelError(
            "BAD_SETTING",
            f"cannot read the token {path}: {why}; check --token-file",
            field="token_file",
        ) from error
    if word:
        _log.warning("%s", word)
    if len(token) < 16:
        raise MandelError(
            "BAD_SETTING",
            f"the token in {path} is shorter than 16 characters; remove the file to have one made",
            field="token_file",
        )
    return token

"""Who is signed in: random ids in memory, and how often somebody may guess the token."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from mandel.errors import MandelError

_MOST, _IDLE_SECONDS = 1_000, 12 * 3600.0
_MOST_TRIES, _TRIES_SECONDS, _MOST_ADDRESSES = 10, 60.0, 1_000


class Sessions:
    """Sessions of one service, on the loop's thread alone.

    Args:
        admit: raises UNAUTHORIZED for a token, or None, that is not what is wanted.
    """

    def __init__(self, admit: Callable[[str | None], None]):
        self._admit = admit
        self._used: OrderedDict[str, float] = OrderedDict()  # by session, when it was last used
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()  # by address, when a wrong token came

    @property
    def needed(self) -> bool:
        """Whether a token is wanted at all."""
        try:
            self._admit(None)
        except MandelError:
            return True
        return False

    def open(self, session: str | None) -> bool:
        """Whether a session is signed in; that keeps it alive."""
        now = time.monotonic()
        if session is None or now - self._used.get(session, -_IDLE_SECONDS) >= _IDLE_SECONDS:
            return False
        self._used[session] = now
        self._used.move_to_end(session)
        return True

    def login(self, token: str, address: str) -> str:
        """A new session for whoever shows the token.

        Raises:
            MandelError: UNAUTHORIZED; TOO_MANY_TRIES from this address.
        """
        failed, now = self._failed.setdefault(address, deque(maxlen=_MOST_TRIES)), time.monotonic()
        self._failed.move_to_end(address)
        if len(self._failed) > _MOST_ADDRESSES:
            self._failed.popitem(last=False)
        if len(failed) == _MOST_TRIES and now - failed[0] < _TRIES_SECONDS:
            raise MandelError(
                "TOO_MANY_TRIES",
                f"{_MOST_TRIES} wrong tokens came from your address within {_TRIES_SECONDS:g} s; wait a minute",
                field="token",
            )
        try:
            self._admit(token)
        except MandelError:
            failed.append(now)
            raise
        session = secrets.token_urlsafe(32)
        self._used[session] = now
        while len(self._used) > _MOST:
            self._used.popitem(last=False)
        return session

    def logout(self, session: str | None) -> None:
        """Ends a session, if it is one."""
        if session is not None:
            self._used.pop(session, None)

"""Who is signed in to the wall, and for how long; and how often somebody may guess a password.

Sessions live in this process only: after a restart everybody signs in again. Times are of a clock that never goes
back, and a parameter for tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from alerts.rules.policy import Operator
from ioc.operators import PASSWORD_MAX, OperatorEntry, OperatorsFile, proves

log = logging.getLogger(__name__)

#: Seconds after which a session ends, whatever happens in it, and when nothing does.
ABSOLUTE_SECONDS = 12 * 3600.0
IDLE_SECONDS = 2 * 3600.0
#: Sessions at once; beyond, the one unused for longest ends.
SESSIONS_MAX = 500

#: Wrong passwords in a row that cost no waiting; each further one doubles the wait, up to a bound, seconds.
FREE_FAILURES = 5
FIRST_WAIT = 30.0
LONGEST_WAIT = 15 * 60.0
#: Ids whose failures are remembered, existing or not; and for how long after the last, seconds.
IDS_MAX = 10_000
FAILURES_KEPT = 3600.0
#: Characters of an id that can be one.
ID_MAX = 60

#: Passwords that are checked at once: each takes 64 MiB and a core.
CHECKS_AT_ONCE = 2

Monotonic = Callable[[], float]


@dataclass
class _Session:
    entry: OperatorEntry
    begun: float
    used: float


class Sessions:
    """Sessions by the hash of their token: the tokens themselves are kept nowhere."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        self._now = monotonic
        #: The longest unused first.
        self._sessions: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, entry: OperatorEntry) -> str:
        """A new session; returns its token, 256 random bits."""
        self._drop_ended()
        if len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        token = secrets.token_urlsafe(32)
        now = self._now()
        self._sessions[_key(token)] = _Session(entry, now, now)
        return token

    def find(self, token: str, *, used: bool = True) -> OperatorEntry | None:
        """Whose session it is, as he was when he signed in; None where it is none, or has ended.

        Counts as use, unless `used` says that the page asked by itself.
        """
        key = _key(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._ended(session):
            del self._sessions[key]
            return None
        if used:
            session.used = self._now()
            self._sessions[key] = self._sessions.pop(key)
        return session.entry

    def end(self, token: str) -> None:
        """End a session; one that is none is nothing to end."""
        self._sessions.pop(_key(token), None)

    def _ended(self, session: _Session) -> bool:
        now = self._now()
        return now - session.begun >= ABSOLUTE_SECONDS or now - session.used >= IDLE_SECONDS

    def _drop_ended(self) -> None:
        for key in [key for key, session in self._sessions.items() if self._ended(session)]:
            del self._sessions[key]


def _key(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


@dataclass
class _Failures:
    count: int
    #: Until when nothing is tried, and when the last attempt was.
    until: float
    last: float


class Attempts:
    """How often each id was tried in vain. An id that does not exist is treated as one that does."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        self._now = monotonic
        #: The longest untried first.
        self._failures: dict[str, _Failures] = {}

    def wait(self, id: str) -> float:
        """Seconds until this id may be tried again; 0: now."""
        known = self._failures.get(id)
        return max(0.0, known.until - self._now()) if known else 0.0

    def begin(self, id: str) -> None:
        """Count an attempt as failed, before it is judged: so no number of attempts at once gets past the bound."""
        now = self._now()
        known = self._failures.pop(id, None)
        if known is None or now - known.last > FAILURES_KEPT:
            known = _Failures(0, 0.0, now)
        known.count, known.last = known.count + 1, now
        if known.count >= FREE_FAILURES:
            known.until = now + min(FIRST_WAIT * 2 ** min(known.count - FREE_FAILURES, 30), LONGEST_WAIT)
        self._failures[id] = known
        if len(self._failures) > IDS_MAX:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, id: str) -> None:
        """Forget the failures of an id."""
        self._failures.pop(id, None)


class WrongPassword(Exception):
    """Id and password do not fit; which of them is wrong is not said."""


class TooManyAttempts(Exception):
    """Too many wrong passwords for this id: nothing is tried for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = math.ceil(seconds)


class Access:
    """Who may do what at the wall. Without a file of operators nobody signs in and the wall only shows."""

    def __init__(self, operators: OperatorsFile | None = None, monotonic: Monotonic = time.monotonic) -> None:
        self._operators = operators
        self._sessions = Sessions(monotonic)
        self._attempts = Attempts(monotonic)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    @property
    def possible(self) -> bool:
        """Whether anybody can sign in."""
        return self._operators is not None

    async def sign_in(self, id: str, password: str) -> tuple[str, Operator]:
        """The token of a new session, and whose it is. Raises `WrongPassword` and `TooManyAttempts`."""
        if self._operators is None or len(id) > ID_MAX or len(password) > PASSWORD_MAX:
            raise WrongPassword
        if (seconds := self._attempts.wait(id)) > 0:
            raise TooManyAttempts(seconds)
        self._attempts.begin(id)
        entry = self._operators.find(id)
        async with self._checks:
            proven = await asyncio.to_thread(proves, entry, password)
        if not proven or entry is None:
            # What is no operator's id may be a password in the wrong field: it is not written down.
            log.warning("a sign-in failed, for %s", entry.operator.id if entry else "an unknown id")
            raise WrongPassword
        self._attempts.succeeded(id)
        return self._sessions.begin(entry), entry.operator

    def operator(self, token: str, *, used: bool = True) -> Operator | None:
        """Who is signed in with this token, in the role that the file gives him now; None: nobody.

        Counts as use of the session, unless `used` says that the page asked by itself.
        Whoever was removed, or got another password, is no longer signed in.
        """
        if self._operators is None or not token:
            return None
        then = self._sessions.find(token, used=used)
        if then is None:
            return None
        now = self._operators.find(then.operator.id)
        if now is None or now.password != then.password:
            self._sessions.end(token)
            return None
        return now.operator

    def sign_out(self, token: str) -> None:
        self._sessions.end(token)

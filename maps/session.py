"""Who is signed in to the wall, and for how long; and how often somebody may guess a password.

Sessions live in this process only: after a restart everybody signs in again, but for viewers (`maps.screens`). Times
are of a clock that never goes back, and a parameter for tests.
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
from ipaddress import IPv6Address, ip_address, ip_network

from alerts.rules.policy import Operator
from ioc.operators import PASSWORD_MAX, OperatorEntry, OperatorsFile, proves
from maps.screens import holder, holds, make_pass

log = logging.getLogger(__name__)

#: Seconds after which a session ends, whatever happens in it, and when nothing does.
ABSOLUTE_SECONDS = 12 * 3600.0
IDLE_SECONDS = 2 * 3600.0
#: Sessions at once; beyond, the one unused for longest ends.
SESSIONS_MAX = 500

#: Wrong passwords in a row that cost no waiting; each further one doubles the wait, up to a bound, seconds.
FREE_FAILURES = 5
#: The same for an address, whoever is tried from there: many may share one.
FREE_OF_ADDRESS = 30
FIRST_WAIT = 30.0
LONGEST_WAIT = 15 * 60.0
#: Ids whose failures are remembered, existing or not, and addresses; and for how long after the last, seconds.
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
    """How often each id, or from each address, was tried in vain; the same for an id that does not exist."""

    def __init__(self, monotonic: Monotonic = time.monotonic, free: int = FREE_FAILURES) -> None:
        """`free` wrong ones in a row cost no waiting."""
        self._now, self._free = monotonic, free
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
        if known.count >= self._free:
            known.until = now + min(FIRST_WAIT * 2 ** min(known.count - self._free, 30), LONGEST_WAIT)
        self._failures[id] = known
        if len(self._failures) > IDS_MAX:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, id: str) -> None:
        """Forget the failures of an id."""
        self._failures.pop(id, None)

    def was_none(self, id: str) -> None:
        """Take back one attempt that did not fail; those before it still count."""
        known = self._failures.get(id)
        if known is not None:
            known.count -= 1
            if known.count < self._free:
                known.until = 0.0


class WrongPassword(Exception):
    """Id and password do not fit; which of them is wrong is not said."""


class TooManyAttempts(Exception):
    """Too many wrong passwords for this id, or from there: nothing is tried for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = math.ceil(seconds)


class Access:
    """Who may do what at the wall. Without a file of operators nobody signs in and the wall only shows."""

    def __init__(
        self,
        operators: OperatorsFile | None = None,
        monotonic: Monotonic = time.monotonic,
        to_see: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`to_see`: whoever is not signed in sees nothing either. `clock`: Unix seconds, for viewers' passes."""
        self._operators = operators
        self.to_see = to_see
        self._sessions = Sessions(monotonic)
        self._clock = clock
        #: Keys of passes that were given up, the oldest first.
        self._left: dict[str, None] = {}
        self._attempts = Attempts(monotonic)
        self._from = Attempts(monotonic, FREE_OF_ADDRESS)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    @property
    def possible(self) -> bool:
        """Whether anybody can sign in."""
        return self._operators is not None

    async def sign_in(self, id: str, password: str, address: str = "") -> tuple[str, Operator]:
        """The token of a new session, and whose it is; `address` is from where. Raises `WrongPassword` and
        `TooManyAttempts`.
        """
        if self._operators is None or len(id) > ID_MAX or len(password) > PASSWORD_MAX:
            raise WrongPassword
        place = _place(address)
        if (seconds := max(self._attempts.wait(id), self._from.wait(place))) > 0:
            raise TooManyAttempts(seconds)
        self._attempts.begin(id)
        self._from.begin(place)
        entry = self._operators.find(id)
        async with self._checks:
            proven = await asyncio.to_thread(proves, entry, password)
        if not proven or entry is None:
            # What is no operator's id may be a password in the wrong field: it is not written down.
            log.warning(
                "a sign-in failed, for %s from %s",
                entry.operator.id if entry else "an unknown id",
                address or "?",
            )
            raise WrongPassword
        self._attempts.succeeded(id)
        # Others there may still be guessing, and one of them may know one password.
        self._from.was_none(place)
        if entry.operator.role == "viewer":
            return make_pass(entry, self._clock()), entry.operator
        return self._sessions.begin(entry), entry.operator

    def operator(self, token: str, *, used: bool = True) -> Operator | None:
        """Who is signed in with this token, in the role that the file gives him now; None: nobody.

        Counts as use of the session, unless `used` says that the page asked by itself.
        Whoever was removed, or got another password, is no longer signed in.
        """
        if self._operators is None or not token:
            return None
        if (viewer := holder(token)) is not None:
            entry = self._operators.find(viewer)
            known = entry is not None and holds(token, entry, self._clock()) and _key(token) not in self._left
            return entry.operator if entry is not None and known else None
        then = self._sessions.find(token, used=used)
        if then is None:
            return None
        now = self._operators.find(then.operator.id)
        if now is None or now.password != then.password:
            self._sessions.end(token)
            return None
        return now.operator

    def sign_out(self, token: str) -> None:
        """End a session. A viewer's pass is refused from now on, for as long as this process remembers it."""
        self._sessions.end(token)
        if holder(token) is not None and self.operator(token) is not None:
            self._left[_key(token)] = None
            if len(self._left) > SESSIONS_MAX:
                del self._left[next(iter(self._left))]


def _place(address: str) -> str:
    """What counts as one address: of IPv6 the network, since a machine has as many addresses as it wants."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return address

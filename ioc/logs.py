"""What a process writes to its log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

#: The libraries tell of each service, connection and retried request; what fails in the end is an error.
_LEVELS = {
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "streams.chunks": logging.WARNING,  # Faust logs under the module of its subclasses
    "aiokafka": logging.ERROR,
    "kafka": logging.CRITICAL,  # each attempt to connect; our own message says what came of them
}

#: Logged as errors, but only "try again": a new broker has no group coordinator for its first moment.
_TRANSIENT = ("GroupCoordinatorNotAvailableError", "GroupLoadInProgressError")


#: Seconds in which a library says the same thing once: where a broker is gone, each client tries to reach it some
#: twenty times a second, and a night of that would fill the disk.
REPEAT_SECONDS = 30.0


class Sparing(logging.Filter):
    """Lets each message of a library pass once in a while, with how many like it were left out since."""

    def __init__(self, seconds: float = REPEAT_SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is a clock that never goes back, in seconds."""
        super().__init__()
        self._seconds, self._now = seconds, now
        #: By logger and message: when it passed last, and how many were left out since.
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in _LEVELS:
            return True
        now, key = self._now(), (record.name, record.getMessage())
        since, left_out = self._passed.get(key, (None, 0))
        if since is not None and now - since < self._seconds:
            self._passed[key] = since, left_out + 1
            return False
        # Some messages have numbers in them and never come again.
        self._passed = {one: seen for one, seen in self._passed.items() if now - seen[0] < 2 * self._seconds}
        self._passed[key] = now, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} times more)", ()
        return True


def _lasting(record: logging.LogRecord) -> bool:
    return not any(name in record.getMessage() for name in _TRANSIENT)


def configure_logs() -> None:
    """Log to standard error from INFO on, without what libraries say of their everyday work."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_lasting)
        handler.addFilter(Sparing())

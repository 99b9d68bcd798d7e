"""Arguments of the command line that are more than a word, and the progress of a replay."""

from __future__ import annotations

import sys
from datetime import datetime
from time import monotonic

from ioc.errors import UserError


def time_with_zone(text: str | None, option: str) -> datetime | None:
    """A time as RFC 3339 writes it; None where the option was not given.

    Raises `UserError` naming the option where it is not a time or has no zone.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise UserError(f"{option} is not a time with a zone", text, "write it as 2025-10-08T00:00:00+07:00")
    return time


def speed_of(text: str) -> float | None:
    """How much faster than recorded; None for `max`. Raises `UserError` for anything else."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UserError("--speed is not usable", text, "give a number above 0, or max")
    return speed


class Progress:
    """How far a replay has come, said now and then."""

    EVERY_SECONDS = 10.0

    def __init__(self) -> None:
        self._said, self._records = -self.EVERY_SECONDS, 0
        self._time: datetime | None = None

    def __call__(self, time: datetime, records: int) -> None:
        """Called by the replay after each transaction, with the recording's time and the records so far."""
        self._time, self._records = time, records
        if monotonic() - self._said >= self.EVERY_SECONDS:
            self._said = monotonic()
            self._say("at")

    def end(self, stopped: bool) -> None:
        """Say how it ended."""
        if self._time is not None:
            self._say("stopped at" if stopped else "done at")
        elif not stopped:
            sys.stderr.write(
                "nothing was left to publish; to play it again take another --prefix, or --loop\n"
            )

    def _say(self, how: str) -> None:
        sys.stderr.write(f"{how} {self._time:%Y-%m-%d %H:%M} of the recording, {self._records} records\n")
        sys.stderr.flush()

"""Raw bytes to events and clock records; what is neither becomes a dead letter with its reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from streams.schemas import CLOCK_KEY, EVENTS, Clock, DeadLetter, Event

#: Characters of a bad record that its dead letter keeps.
DEAD_LETTER_CHARACTERS = 4096


class RawRecord(Protocol):
    """What is needed of a consumed record; `timestamp` is the broker's, ms since 1970."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...


class RawDecoder:
    """Decodes the records of one raw partition, one after the other: it follows the partition's time."""

    def __init__(self, stream: str, topic: str, partition: int, *, future_tolerance: timedelta) -> None:
        self._stream, self._topic, self._partition = stream, topic, partition
        self._future = future_tolerance
        self._event = msgspec.json.Decoder(EVENTS[stream]).decode
        self._clock = msgspec.json.Decoder(Clock).decode

    def clock(self, record: RawRecord) -> Clock | None:
        """The clock record that this is; None where it is something else."""
        if record.key != CLOCK_KEY or record.value is None:
            return None
        try:
            return self._clock(record.value)
        except msgspec.MsgspecError:
            return None

    def decode(self, record: RawRecord, now: datetime | None) -> Event | Clock | DeadLetter | None:
        """What the record is, at the time `now` of the last clock record before it (None before the first).

        None for a clock record that is damaged or goes back: it is not believed.
        """
        if record.key == CLOCK_KEY:
            clock = self.clock(record)
            return clock if clock is not None and (now is None or clock.clock >= now) else None
        try:
            event: Event = self._event(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return self._dead("undecodable", str(error), record)
        if now is not None and event.time - now > self._future:
            return self._dead("future", f"{event.time.isoformat()} is after {now.isoformat()}", record)
        return event

    def _dead(self, reason: Literal["undecodable", "future"], detail: str, record: RawRecord) -> DeadLetter:
        # A report may hold personal data, and the decoder's message may quote it: its dead letter says only
        # where the record stands.
        personal = self._stream == "report"
        return DeadLetter(
            reason=reason,
            detail="" if personal else detail,
            topic=self._topic,
            partition=self._partition,
            offset=record.offset,
            value=None
            if personal
            else (record.value or b"").decode(errors="replace")[:DEAD_LETTER_CHARACTERS],
        )

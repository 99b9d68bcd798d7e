"""Raw bytes to events and clock records; what is neither becomes a dead letter with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Literal, Protocol

import msgspec

from alerts.believable import EARLIEST, LATEST, YEARS
from ioc.undecodable import UNDECODABLE, why
from streams.identity import reporter_in
from streams.schemas import CLOCK_KEY, EVENTS, IDENTIFIERS, Clock, DeadLetter, Event, ReportEvent

#: Characters of a bad record that its dead letter keeps.
DEAD_LETTER_CHARACTERS = 4096


_key = attrgetter("key")


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


def clock_indices(records: Sequence[RawRecord]) -> list[int]:
    """Where the clock records among these are: few, and looked for in every chunk."""
    keys = list(map(_key, records))
    indices, start = [], 0
    for _ in range(keys.count(CLOCK_KEY)):
        indices.append(index := keys.index(CLOCK_KEY, start))
        start = index + 1
    return indices


_decode_clock = msgspec.json.Decoder(Clock).decode


def clock_of(value: bytes | None) -> Clock | None:
    """What a record with the key `CLOCK_KEY` says; None for a damaged one, which nobody believes."""
    try:
        clock = _decode_clock(value or b"")
    except UNDECODABLE:
        return None
    return clock if EARLIEST <= clock.clock <= LATEST else None


class RawDecoder:
    """Decodes the records of one raw partition, one after the other: it follows the partition's time."""

    def __init__(self, stream: str, topic: str, partition: int, *, future_tolerance: timedelta) -> None:
        self._stream, self._topic, self._partition = stream, topic, partition
        self._future = future_tolerance
        self._event = msgspec.json.Decoder(EVENTS[stream]).decode
        self._identifiers = IDENTIFIERS[stream]
        self._others = tuple(name for name in self._identifiers if name not in ("id", "source"))
        self._reports = EVENTS[stream] is ReportEvent
        #: Records that were looked through last and are not decoded yet, with where their clock records are.
        self._looked: tuple[Sequence[RawRecord], list[int]] | None = None
        #: How many reports so far say in plain words who sent them.
        self.unsealed = 0

    def clock_indices(self, records: Sequence[RawRecord]) -> list[int]:
        """Where the clock records among these are. Asked before they are decoded, it is looked up only once."""
        if self._looked is None or self._looked[0] is not records:
            self._looked = records, clock_indices(records)
        return self._looked[1]

    def clock(self, record: RawRecord) -> Clock | None:
        """The clock record that this is; None where it is something else."""
        return clock_of(record.value) if record.key == CLOCK_KEY else None

    def decode(self, record: RawRecord, now: datetime | None) -> Event | Clock | DeadLetter | None:
        """What the record is, at the time `now` of the last clock record before it (None before the first).

        None for a clock record that is damaged or goes back: it is not believed.
        """
        if record.key == CLOCK_KEY:
            clock = self.clock(record)
            return clock if clock is not None and (now is None or clock.clock >= now) else None
        hash_ = self._reporter(record) if self._reports else ""
        try:
            event: Event = self._event(record.value or b"")
        except UNDECODABLE as error:
            return self._dead("undecodable", why(error), record)
        for name in self._identifiers:
            if _has_controls(getattr(event, name)):
                return self._dead("undecodable", f"control characters - at `$.{name}`", record)
        if not EARLIEST <= event.time <= LATEST:
            detail = f"{event.time.isoformat()} is not in the years {YEARS[0]} to {YEARS[-1]} - at `$.time`"
            return self._dead("undecodable", detail, record)
        if now is not None and event.time - now > self._future:
            return self._dead("future", f"{event.time.isoformat()} is after {now.isoformat()}", record)
        if isinstance(event, ReportEvent):
            event.reporter_hash = hash_
        return event

    def _reporter(self, record: RawRecord) -> str:
        """The hash of who sent a report."""
        hash_, unsealed = reporter_in(record.value or b"")
        self.unsealed += unsealed
        return hash_

    def decode_all(
        self, records: Sequence[RawRecord], now: datetime | None
    ) -> list[Event | Clock | DeadLetter | None]:
        """What each of consecutive records is, as `decode` says, but with less work for each.

        `now` is the time of the last clock record before them; the clock records among them move it on.
        """
        decoded: list[Event | Clock | DeadLetter | None] = []
        first = 0
        indices, self._looked = self.clock_indices(records), None
        for index in indices:
            decoded += self._decode_events(records[first:index], now)
            decoded.append(clock := self.decode(records[index], now))
            if isinstance(clock, Clock):
                now = clock.clock
            first = index + 1
        decoded += self._decode_events(records[first:], now)
        return decoded

    def _decode_events(
        self, records: Sequence[RawRecord], now: datetime | None
    ) -> list[Event | Clock | DeadLetter | None]:
        try:
            # Nearly always all are good. Joining the values to decode them as one array was slower.
            events = list(map(self._event, [record.value or b"" for record in records]))
        except UNDECODABLE:
            return [self.decode(record, now) for record in records]
        decoded: list[Event | Clock | DeadLetter | None] = []
        reports = self._reports
        zone, earliest, latest = None, EARLIEST, LATEST if now is None else now + self._future
        for record, event in zip(records, events, strict=True):
            time = event.time
            if time.tzinfo is not zone:
                # Times of one zone are compared twenty times as fast as those of two.
                zone = time.tzinfo
                earliest, latest = earliest.astimezone(zone), latest.astimezone(zone)
            if (
                not earliest <= time <= latest
                or not event.id.isprintable()
                or not event.source.isprintable()
                or (self._others and not all(getattr(event, name).isprintable() for name in self._others))
            ):
                decoded.append(self.decode(record, now))
            else:
                if reports:
                    event.reporter_hash = self._reporter(record)  # type: ignore[attr-defined]
                decoded.append(event)
        return decoded

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


def _has_controls(text: str) -> bool:
    # What can be printed has none, and that is found out faster.
    return not text.isprintable() and any(letter < " " or letter == "\x7f" for letter in text)

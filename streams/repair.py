"""Repair a dead letter, and say what would become of it. Pure: the log's clock is a parameter.

A letter is named by where its record stands, STREAM/PARTITION/OFFSET: that stays the same however often the log is
judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from alerts.believable import YEARS
from ioc.undecodable import UNDECODABLE, why
from streams.decoding import DEAD_LETTER_CHARACTERS, RawDecoder
from streams.schemas import CLOCK_KEY, EVENTS, IDENTIFIERS, Clock, DeadLetter
from streams.topics import Topic, partition_of

#: Why a letter is not published again. undecodable and future: it would be a dead letter again. gone: its letter does
#: not hold the whole record, and the raw topic no longer does. unrepairable: the change does not fit the record.
Refusal = Literal["undecodable", "future", "gone", "replayed", "unrepairable"]

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


class LetterId(NamedTuple):
    """Where a record stands in a raw topic."""

    stream: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.stream}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> LetterId:
        """The id that a text is. Raises `ValueError` where it is none."""
        stream, partition, offset = text.split("/")
        if stream not in EVENTS or not (partition.isdecimal() and offset.isdecimal()):
            raise ValueError(text)
        return cls(stream, int(partition), int(offset))


@dataclass(frozen=True)
class Letter:
    """A dead letter as it stands in ioc.deadletter."""

    id: LetterId
    reason: str
    #: What the decoder said; empty for a citizen's report, which it may quote.
    detail: str
    key: bytes | None
    #: The record as the letter holds it.
    value: str | None
    #: When it became a dead letter, by the broker's clock.
    at: datetime

    def whole(self) -> bytes | None:
        """The record to the byte; None where the letter holds no value, or may have lost some of it."""
        text = self.value
        if text is None or len(text) >= DEAD_LETTER_CHARACTERS or "\N{REPLACEMENT CHARACTER}" in text:
            return None
        return text.encode()


@dataclass(frozen=True)
class Ready:
    """A record that sense will take for an event, as it is to be published."""

    key: bytes
    value: bytes
    partition: int
    repaired: bool
    #: It will be kept and not judged: so much older than the log's clock; None where it is not too old.
    late: timedelta | None = None
    #: The partition has no clock record yet: it will be kept and not judged.
    no_clock: bool = False
    #: It was marked as simulated, because the log's clock is that of a replay.
    marked: bool = False


@dataclass(frozen=True)
class Refused:
    """Why a record is not published."""

    reason: Refusal
    detail: str = ""
    #: For a record of the future: what the log's clock shows, and what it must have come to.
    clock: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True)
class _Record:
    key: bytes | None
    value: bytes | None
    offset: int = 0
    timestamp: int = 0


class Unrepairable(Exception):
    """A change does not fit a record."""


def with_fields(stream: str, value: bytes, changes: Iterable[tuple[str, str]]) -> bytes:
    """The record with some fields set; all others stay as they are written.

    A text is taken for JSON where the field can hold what it says, else for a text: `level_m=1.2` is a number and
    `source=007` is not. Raises `Unrepairable` where the record is no JSON object, or neither it nor its schema
    knows a field.
    """
    try:
        fields = _fields.decode(value)
    except UNDECODABLE:
        raise Unrepairable("the record is no JSON object: write it anew, with --edit") from None
    kinds = {field.name: field.type for field in msgspec.structs.fields(EVENTS[stream])}
    for name, text in changes:
        if name not in kinds and name not in fields:
            raise Unrepairable(f"a {stream} event has no field {name}: {', '.join(kinds)}")
        fields[name] = msgspec.Raw(_encode(_meant(text, kinds.get(name, Any))))
    return _encode(fields)


def _meant(text: str, kind: Any) -> Any:
    try:
        found = msgspec.json.decode(text)
        msgspec.convert(found, kind)
    except UNDECODABLE:
        return text
    return found


def verdict(
    letter: Letter,
    value: bytes,
    topic: Topic,
    clocks: Mapping[int, Clock],
    *,
    repaired: bool,
    future_tolerance: timedelta,
    late_bound: timedelta,
) -> Ready | Refused:
    """What is to be published for a letter whose record is `value`, or why nothing is.

    `clocks` are the last clock records of the topic's partitions. A record keeps its key; a repaired one, and one
    that has none, gets its source as the key, as every event should have.
    """
    stream = letter.id.stream
    decoder = RawDecoder(stream, topic.name, letter.id.partition, future_tolerance=future_tolerance)
    key = letter.key
    # The clock's key would make it something else than an event.
    event = decoder.decode(_Record(None if key == CLOCK_KEY else key, value), None)
    if isinstance(event, DeadLetter):
        return Refused("undecodable", event.detail)
    assert event is not None
    assert not isinstance(event, Clock)
    if repaired or key is None or key == CLOCK_KEY:
        key = event.source.encode()
    partition = partition_of(key, topic.partitions)
    clock = clocks.get(partition)
    if clock is None:
        return Ready(key, value, partition, repaired, no_clock=True)
    if isinstance(decoder.decode(_Record(key, value), clock.clock), DeadLetter):
        return Refused("future", clock=clock.clock, due=event.time - future_tolerance)
    age = clock.clock - event.time
    marked = bool(clock.run) and not event.simulated
    if marked:
        # Under a replay's clock nothing is real, and all that comes of it must say so.
        try:
            value = with_fields(stream, value, [("simulated", "true"), ("run", _encode(clock.run).decode())])
        except Unrepairable as problem:
            # The decoder does not look into names that it does not know; they may be no text.
            return Refused("unrepairable", str(problem))
    return Ready(key, value, partition, repaired, late=age if age > late_bound else None, marked=marked)


def fault(stream: str, value: bytes) -> str:
    """What is wrong with a record, as the decoder says it; empty where nothing is. It may quote the record."""
    try:
        event = msgspec.json.decode(value, type=EVENTS[stream])
    except UNDECODABLE as error:
        return why(error)
    if event.time.year not in YEARS:
        return f"{event.time.isoformat()} is not in the years {YEARS[0]} to {YEARS[-1]} - at `$.time`"
    bad = [name for name in IDENTIFIERS[stream] if not getattr(event, name).isprintable()]
    return f"signs that cannot be printed - at `$.{bad[0]}`" if bad else ""

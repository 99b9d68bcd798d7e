"""Read dead letters on a broker, and the raw records that they tell of."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, ProducerFenced
from aiokafka.structs import TopicPartition

from ioc.errors import UserError
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.clients import client_arguments
from streams.decoding import clock_of
from streams.repair import Letter, LetterId
from streams.schemas import CLOCK_KEY, Clock, DeadLetter, Replayed
from streams.stopping import stop
from streams.topics import Topic, Topics

#: Records of a raw partition that are read at first for its last clock record; eight times as many each further time.
CLOCK_TAIL = 1_000
#: Seconds without a record after which a broker that should have some counts as lost.
PATIENCE = 30.0

#: Kinds of faults that are told apart, and keys that are kept of each.
FAULTS_MAX, FAULT_KEYS = 500, 4

T = TypeVar("T")

_NUMBERS = re.compile(r"-?\d[\d.:T+-]*")
_decode_letter = msgspec.json.Decoder(DeadLetter).decode
_decode_mark = msgspec.json.Decoder(Replayed).decode

#: Called now and then with how many of how many records of ioc.deadletter were read.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """Which letters. Empty streams, reasons or ids: all."""

    streams: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    ids: frozenset[LetterId] = frozenset()
    #: Those that became dead letters at or after it, by the broker's clock.
    since: datetime | None = None
    #: At most so many; None: all.
    limit: int | None = None
    #: Of those beyond the limit the earliest are left out, not the latest.
    newest: bool = False

    def takes(self, letter: Letter) -> bool:
        return (
            (not self.streams or letter.id.stream in self.streams)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.ids or letter.id in self.ids)
        )


@dataclass
class Fault:
    """Letters with the same thing wrong, but for numbers."""

    count: int = 0
    #: The last of them.
    id: LetterId | None = None
    #: Keys of some of their records.
    keys: dict[bytes, None] = field(default_factory=dict)

    def take(self, letter: Letter) -> None:
        """One more."""
        self.count += 1
        self.id = letter.id
        if letter.key is not None and len(self.keys) < FAULT_KEYS:
            self.keys[letter.key] = None


@dataclass
class Found:
    """What was found of the letters that are wanted."""

    #: In the order in which they became dead letters, each once.
    letters: dict[LetterId, Letter] = field(default_factory=dict)
    #: How many there are by stream and reason, also beyond the limit.
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: The same by stream, reason and what is wrong, without numbers; all beyond `FAULTS_MAX` under one.
    faults: dict[tuple[str, str, str], Fault] = field(default_factory=dict)
    #: The last replay of each letter of any kind that was replayed.
    marks: dict[LetterId, Replayed] = field(default_factory=dict)
    #: How many of those counted were replayed.
    replayed: int = 0
    #: Records that are neither a letter of this installation nor a mark.
    unreadable: int = 0


def find(settings: Settings, wanted: Wanted, progress: Progress | None = None) -> Found:
    """The letters that are wanted. Raises `UserError` where Kafka does not answer."""
    return answering(settings, find_letters(settings, wanted, frozenset(), progress))


def raw_record(settings: Settings, letter: LetterId) -> bytes | None:
    """The record in its raw topic; None where retention has deleted it. A citizen's report holds personal data.

    Raises `UserError` where Kafka does not answer.
    """

    async def fetch() -> bytes | None:
        async with client(settings) as consumer:
            return await fetch_raw(consumer, Topics.of(settings), letter)

    return answering(settings, fetch())


def answering(settings: Settings, work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to. Raises `UserError` where Kafka does not answer, or another replay took over."""
    try:
        return asyncio.run(work)
    except ProducerFenced:
        raise UserError(
            "another replay of dead letters began meanwhile",
            "of this one, only what the list shows as replayed is done",
            "see ioc deadletters list, then ask again",
        ) from None
    except (KafkaError, OSError) as error:
        raise UserError(
            f"Kafka at {settings.bootstrap} does not answer, or refused",
            str(error) or type(error).__name__,
            "see that it runs, then ioc deadletters list for what was replayed",
        ) from None


class Search:
    """Goes through the records of ioc.deadletter, in their order, for the letters that are wanted."""

    def __init__(self, topics: Topics, wanted: Wanted, without: Container[LetterId] = ()) -> None:
        self._streams = {topic.name: stream for stream, topic in topics.raw.items()}
        self._wanted, self._without = wanted, without
        self._found = Found()
        #: The offsets of those counted, by stream and partition.
        self._counted = defaultdict[tuple[str, int], set[int]](set)

    def take(self, record: ConsumerRecord) -> None:
        """Look at the next record."""
        read = _read(record, self._streams)
        if read is None:
            self._found.unreadable += 1
        elif isinstance(read, Replayed):
            self._found.marks[LetterId(self._streams[read.topic], read.partition, read.offset)] = read
        elif self._wanted.takes(read) and read.id not in self._without:
            self._keep(read)

    def _keep(self, letter: Letter) -> None:
        id, letters, limit = letter.id, self._found.letters, self._wanted.limit
        counted = self._counted[id.stream, id.partition]
        if id.offset not in counted:
            counted.add(id.offset)
            self._found.counts[id.stream, letter.reason] += 1
            self._fault(letter).take(letter)
        elif id not in letters:
            return  # told once more, as when the log is judged again, and beyond the limit
        letters[id] = letter
        if limit is not None and len(letters) > limit:
            letters.pop(next(iter(letters)) if self._wanted.newest else id)

    def _fault(self, letter: Letter) -> Fault:
        faults = self._found.faults
        # The decoder quotes what it expected, and where: only numbers tell two letters apart. The future is one kind.
        wrong = "" if letter.reason == "future" else _NUMBERS.sub("N", letter.detail)
        kind = (letter.id.stream, letter.reason, wrong)
        if kind not in faults and len(faults) >= FAULTS_MAX:
            kind = ("–", "–", "others")
        return faults.setdefault(kind, Fault())

    def found(self) -> Found:
        """What was found so far."""
        found = self._found
        found.replayed = sum(id.offset in self._counted[id.stream, id.partition] for id in found.marks)
        return found


async def find_letters(
    settings: Settings, wanted: Wanted, without: Container[LetterId], progress: Progress | None
) -> Found:
    """The letters that are wanted, but for some. Raises aiokafka's errors, as all of the following."""
    topics = Topics.of(settings)
    search = Search(topics, wanted, without)
    async with client(settings) as consumer:
        async for record in _letters(consumer, topics.dead_letters.name, wanted.since, progress):
            search.take(record)
    return search.found()


def _read(record: ConsumerRecord, streams: Mapping[str, str]) -> Letter | Replayed | None:
    """A record of ioc.deadletter; None where it is neither a letter nor a mark of this installation."""
    value = record.value or b""
    try:
        letter = _decode_letter(value)
    except UNDECODABLE:
        try:
            mark = _decode_mark(value)
        except UNDECODABLE:
            return None
        return mark if mark.topic in streams else None
    if letter.topic not in streams:
        return None
    return Letter(
        id=LetterId(streams[letter.topic], letter.partition, letter.offset),
        reason=letter.reason,
        detail=letter.detail,
        key=record.key,
        value=letter.value,
        at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )


async def _letters(
    consumer: AIOKafkaConsumer, topic: str, since: datetime | None, progress: Progress | None
) -> AsyncIterator[ConsumerRecord]:
    tp = TopicPartition(topic, 0)
    first, end = await bounds(consumer, tp)
    if since is not None:
        at = (await consumer.offsets_for_times({tp: int(since.timestamp() * 1000)}))[tp]
        first = end if at is None else at.offset
    async for record in between(consumer, tp, first, end):
        if progress is not None:
            progress(record.offset - first, end - first)
        yield record


async def fetch_raw(consumer: AIOKafkaConsumer, topics: Topics, letter: LetterId) -> bytes | None:
    """The record that a letter tells of; None where it is gone."""
    topic = topics.raw[letter.stream]
    if letter.partition >= topic.partitions:
        return None
    tp = TopicPartition(topic.name, letter.partition)
    first, end = await bounds(consumer, tp)
    if not first <= letter.offset < end:
        return None
    try:
        records = [record async for record in between(consumer, tp, letter.offset, letter.offset + 1)]
    except OffsetOutOfRangeError:
        return None  # retention was quicker
    return (records[0].value or b"") if records else None


async def last_clocks(consumer: AIOKafkaConsumer, topic: Topic) -> dict[int, Clock]:
    """The last clock record of each partition of a raw topic that has one."""
    clocks: dict[int, Clock] = {}
    for partition in range(topic.partitions):
        tp = TopicPartition(topic.name, partition)
        first, end = await bounds(consumer, tp)
        begin, size = end, CLOCK_TAIL
        while partition not in clocks and begin > first:
            begin, until, size = max(first, begin - size), begin, size * 8
            async for record in between(consumer, tp, begin, until):
                if record.key == CLOCK_KEY and (clock := clock_of(record.value)) is not None:
                    clocks[partition] = clock
    return clocks


async def bounds(consumer: AIOKafkaConsumer, tp: TopicPartition) -> tuple[int, int]:
    """The first offset of a partition, and the one after its last."""
    return (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]


async def between(
    consumer: AIOKafkaConsumer, tp: TopicPartition, first: int, end: int
) -> AsyncIterator[ConsumerRecord]:
    """The committed records of a partition from an offset to before another.

    Raises `KafkaError` where the broker has nothing more to say before that.
    """
    consumer.assign([tp])
    consumer.seek(
        tp, first
    )  # with nothing awaited in between: the consumer never looks for a position itself
    heard = time.monotonic()
    # The last offsets may be markers of transactions, which nobody is given: the position passes them.
    while await consumer.position(tp) < end:
        for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
            heard = time.monotonic()
            if record.offset >= end:
                return
            yield record
        if time.monotonic() - heard > PATIENCE:
            raise KafkaError(f"nothing of {tp.topic}/{tp.partition} came for {PATIENCE:g} s")


@asynccontextmanager
async def client(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of committed records that is told where to read."""
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
        # Often one record is wanted of a place.
        max_partition_fetch_bytes=128 * 1024,
    )
    await consumer.start()
    # A task of aiokafka's has to begin before the consumer is stopped, or stopping raises CancelledError.
    await asyncio.sleep(0)
    try:
        yield consumer
    finally:
        await stop(consumer)

"""Dead letters on a broker: read them, fetch the records that they tell of, publish them again.

A replay is a transaction: the record in its raw topic and the mark in ioc.deadletter that says so are both there
or neither is. Its producer fences every other replay before it reads the marks, so of two at the same time only one
publishes, and a letter is published a second time only where that is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, ProducerFenced
from aiokafka.structs import RecordMetadata, TopicPartition

from ioc.errors import UserError
from ioc.settings import Settings
from streams.decoding import UNDECODABLE
from streams.repair import Letter, LetterId, Ready, Refused, Unrepairable, verdict, with_fields
from streams.schemas import CLOCK_KEY, Clock, DeadLetter, Replayed
from streams.topics import Topic, Topics
from streams.transactions import TRANSACTION_TIMEOUT_MS

#: Letters of a transaction: so few that readers of committed records hardly wait behind it.
BATCH = 200
#: Header of a record that was published again: the id of its dead letter.
HEADER = "ioc-replay-of"
#: Records of a raw partition that are read at first for its last clock record; eight times as many each further time.
CLOCK_TAIL = 1_000
#: Seconds without a record after which a broker that should have some counts as lost.
PATIENCE = 30.0

T = TypeVar("T")

_decode_letter = msgspec.json.Decoder(DeadLetter).decode
_decode_mark = msgspec.json.Decoder(Replayed).decode
_decode_clock = msgspec.json.Decoder(Clock).decode

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
class Found:
    """What was found of the letters that are wanted."""

    #: In the order in which they became dead letters, each once.
    letters: dict[LetterId, Letter] = field(default_factory=dict)
    #: How many there are by stream and reason, also beyond the limit.
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: The last replay of each letter of any kind that was replayed.
    marks: dict[LetterId, Replayed] = field(default_factory=dict)
    #: How many of those counted were replayed.
    replayed: int = 0
    #: Records that are neither a letter of this installation nor a mark.
    unreadable: int = 0


@dataclass(frozen=True)
class Change:
    """How records are repaired: fields set, or the whole record written anew. Neither: as they were."""

    fields: tuple[tuple[str, str], ...] = ()
    record: bytes | None = None

    def __bool__(self) -> bool:
        return bool(self.fields) or self.record is not None


@dataclass(frozen=True)
class Outcome:
    """What became of a letter."""

    letter: Letter
    verdict: Ready | Refused
    #: Where its record stands now; None where it was refused, or only tried.
    to: LetterId | None = None
    #: For a letter that was replayed before: when, by whom and to where.
    mark: Replayed | None = None


def find(settings: Settings, wanted: Wanted, progress: Progress | None = None) -> Found:
    """The letters that are wanted. Raises `UserError` where Kafka does not answer."""
    return _run(settings, _find(settings, wanted, frozenset(), progress))


def raw_record(settings: Settings, letter: LetterId) -> bytes | None:
    """The record in its raw topic; None where retention has deleted it. A citizen's report holds personal data.

    Raises `UserError` where Kafka does not answer.
    """

    async def fetch() -> bytes | None:
        async with _client(settings) as consumer:
            return await _raw(consumer, Topics.of(settings), letter)

    return _run(settings, fetch())


def replay(
    settings: Settings,
    wanted: Wanted,
    change: Change,
    *,
    by: str | None,
    now: datetime,
    again: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Publish the wanted letters again, in their order, and mark them as replayed by operator `by` at `now`.

    With `by` None they are only tried. `again`: also those that were replayed before; otherwise letters asked for by
    id are refused then, and others are left out.

    Raises `UserError` where an id is that of no letter, another replay takes over, or Kafka does not answer.
    """
    return _run(settings, _replay(settings, wanted, change, by, now, again, progress))


def _run(settings: Settings, work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except ProducerFenced:
        raise UserError(
            "another replay of dead letters began meanwhile",
            "what this one had not said as done is not done",
            "see ioc deadletters list, then ask again",
        ) from None
    except (KafkaError, OSError) as error:
        raise UserError(
            f"Kafka at {settings.bootstrap} does not answer, or refused",
            str(error) or type(error).__name__,
            "see that it runs, then ioc deadletters list for what was replayed",
        ) from None


# Reading


async def _find(
    settings: Settings, wanted: Wanted, without: Container[LetterId], progress: Progress | None
) -> Found:
    topics = Topics.of(settings)
    streams = {topic.name: stream for stream, topic in topics.raw.items()}
    found, seen = Found(), defaultdict[tuple[str, int], set[int]](set)
    async with _client(settings) as consumer:
        async for record in _letters(consumer, topics.dead_letters.name, wanted.since, progress):
            read = _read(record, streams)
            if read is None:
                found.unreadable += 1
            elif isinstance(read, Letter):
                _note(read, wanted, without, found, seen)
            else:
                found.marks[LetterId(streams[read.topic], read.partition, read.offset)] = read
    found.replayed = sum(id.offset in seen[id.stream, id.partition] for id in found.marks)
    return found


def _note(
    letter: Letter,
    wanted: Wanted,
    without: Container[LetterId],
    found: Found,
    seen: dict[tuple[str, int], set[int]],
) -> None:
    if not wanted.takes(letter) or letter.id in without:
        return
    offsets = seen[letter.id.stream, letter.id.partition]
    if letter.id.offset not in offsets:
        offsets.add(letter.id.offset)
        found.counts[letter.id.stream, letter.reason] += 1
    elif letter.id not in found.letters:
        return  # told again, as when the log is judged again, and beyond the limit
    found.letters[letter.id] = letter
    if wanted.limit is not None and len(found.letters) > wanted.limit:
        found.letters.pop(next(iter(found.letters)) if wanted.newest else letter.id)


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
    first, end = await _bounds(consumer, tp)
    if since is not None:
        at = (await consumer.offsets_for_times({tp: int(since.timestamp() * 1000)}))[tp]
        first = end if at is None else at.offset
    async for record in _between(consumer, tp, first, end):
        if progress is not None:
            progress(record.offset - first, end - first)
        yield record


async def _raw(consumer: AIOKafkaConsumer, topics: Topics, letter: LetterId) -> bytes | None:
    """The record that a letter tells of; None where it is gone."""
    topic = topics.raw[letter.stream]
    if letter.partition >= topic.partitions:
        return None
    tp = TopicPartition(topic.name, letter.partition)
    first, end = await _bounds(consumer, tp)
    if not first <= letter.offset < end:
        return None
    try:
        records = [record async for record in _between(consumer, tp, letter.offset, letter.offset + 1)]
    except OffsetOutOfRangeError:
        return None  # retention was quicker
    return (records[0].value or b"") if records else None


async def _clocks(consumer: AIOKafkaConsumer, topic: Topic) -> dict[int, Clock]:
    """The last clock record of each partition of a raw topic that has one."""
    clocks: dict[int, Clock] = {}
    for partition in range(topic.partitions):
        tp = TopicPartition(topic.name, partition)
        first, end = await _bounds(consumer, tp)
        begin, size = end, CLOCK_TAIL
        while partition not in clocks and begin > first:
            begin, until, size = max(first, begin - size), begin, size * 8
            async for record in _between(consumer, tp, begin, until):
                if record.key == CLOCK_KEY:
                    with contextlib.suppress(*UNDECODABLE):
                        clocks[partition] = _decode_clock(record.value or b"")
    return clocks


async def _bounds(consumer: AIOKafkaConsumer, tp: TopicPartition) -> tuple[int, int]:
    return (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]


async def _between(
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
async def _client(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of committed records that is told where to read."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
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
        await consumer.stop()


# Publishing again


async def _replay(
    settings: Settings,
    wanted: Wanted,
    change: Change,
    by: str | None,
    now: datetime,
    again: bool,
    progress: Progress | None,
) -> list[Outcome]:
    async with _producer(settings, by) as producer:
        # Only now: what the replays before this one marked is there to be read.
        found = await _wanted(settings, wanted, again, progress)
        outcomes: list[Outcome] = []
        async with _client(settings) as consumer:
            judge = _Judge(settings, consumer, change)
            letters = list(found.letters.values())
            for start in range(0, len(letters), BATCH):
                batch = []
                for letter in letters[start : start + BATCH]:
                    mark = found.marks.get(letter.id)
                    said = Refused("replayed") if mark and not again else await judge(letter)
                    batch.append(Outcome(letter, said, mark=mark))
                if producer is not None and by is not None:
                    batch = await _publish(producer, settings, batch, by, now)
                outcomes += batch
        return outcomes


async def _wanted(settings: Settings, wanted: Wanted, again: bool, progress: Progress | None) -> Found:
    if wanted.ids:
        found = await _find(settings, wanted, frozenset(), progress)
        if missing := sorted(str(id) for id in wanted.ids - found.letters.keys()):
            raise UserError(
                f"no dead letter is called {', '.join(missing[:5])}",
                Topics.of(settings).dead_letters.name,
                "see ioc deadletters list, and IOC_TOPIC_PREFIX",
            )
        return found
    # Marks stand behind their letters: which are still to be replayed is known only at the end.
    marks = (await _find(settings, replace(wanted, limit=0), frozenset(), None)).marks
    return await _find(settings, wanted, frozenset() if again else frozenset(marks), progress)


class _Judge:
    """Gets the record of a letter, changes it and says what would become of it."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, change: Change) -> None:
        self._settings, self._consumer, self._change = settings, consumer, change
        self._topics = Topics.of(settings)
        self._clocks: dict[str, dict[int, Clock]] = {}

    async def __call__(self, letter: Letter) -> Ready | Refused:
        stream = letter.id.stream
        topic, value = self._topics.raw[stream], self._change.record
        if value is None:
            value = letter.whole()
        if value is None:
            value = await _raw(self._consumer, self._topics, letter.id)
        if value is None:
            return Refused("gone")
        if self._change.fields:
            try:
                value = with_fields(stream, value, self._change.fields)
            except Unrepairable as problem:
                return Refused("unrepairable", str(problem))
        if stream not in self._clocks:
            self._clocks[stream] = await _clocks(self._consumer, topic)
        return verdict(
            letter,
            value,
            topic,
            self._clocks[stream],
            repaired=bool(self._change),
            future_tolerance=timedelta(seconds=self._settings.future_tolerance),
            late_bound=timedelta(seconds=self._settings.late_bound),
        )


async def _publish(
    producer: AIOKafkaProducer, settings: Settings, batch: Sequence[Outcome], by: str, now: datetime
) -> list[Outcome]:
    """Publish what is ready of a batch, with its marks, in one transaction."""
    if not any(isinstance(outcome.verdict, Ready) for outcome in batch):
        return list(batch)
    topics = Topics.of(settings)
    async with producer.transaction():
        # Before the commit all answers: it would not fail where a record was refused, but go on without it.
        written = await asyncio.gather(*[await _send(producer, topics, outcome) for outcome in batch])
        done = [
            outcome if offset is None else replace(outcome, to=_place(outcome, offset))
            for outcome, offset in zip(batch, written, strict=True)
        ]
        marks = [
            await producer.send(
                topics.dead_letters.name, msgspec.json.encode(mark), outcome.letter.key, partition=0
            )
            for outcome in done
            if (mark := _mark(topics, outcome, by, now)) is not None
        ]
        await asyncio.gather(*marks)
    return done


async def _send(
    producer: AIOKafkaProducer, topics: Topics, outcome: Outcome
) -> Awaitable[RecordMetadata | None]:
    """Hand a record to the producer; what is returned is done once all copies of the broker have it."""
    ready = outcome.verdict
    if not isinstance(ready, Ready):
        return asyncio.sleep(0)
    sent: Awaitable[RecordMetadata] = await producer.send(
        topics.raw[outcome.letter.id.stream].name,
        ready.value,
        ready.key,
        partition=ready.partition,
        headers=[(HEADER, str(outcome.letter.id).encode())],
    )
    return sent


def _place(outcome: Outcome, written: RecordMetadata) -> LetterId:
    return LetterId(outcome.letter.id.stream, written.partition, written.offset)


def _mark(topics: Topics, outcome: Outcome, by: str, now: datetime) -> Replayed | None:
    if outcome.to is None or not isinstance(outcome.verdict, Ready):
        return None
    id, to = outcome.letter.id, outcome.to
    return Replayed(
        topic=topics.raw[id.stream].name,
        partition=id.partition,
        offset=id.offset,
        to_partition=to.partition,
        to_offset=to.offset,
        by=by,
        at=now,
        repaired=outcome.verdict.repaired,
    )


@asynccontextmanager
async def _producer(settings: Settings, by: str | None) -> AsyncIterator[AIOKafkaProducer | None]:
    """The one producer of replays under this topic prefix; none where nothing is to be published."""
    if by is None:
        yield None
        return
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        transactional_id=f"{settings.topic_prefix}ioc-deadletters",
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        acks="all",
        enable_idempotence=True,
    )
    # Fences the one before, and waits until what it left open is ended.
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()

"""Publish dead letters again.

A replay is a transaction: the record in its raw topic and the mark in ioc.deadletter that says so are both there
or neither is. Its producer fences every other replay before it reads the marks, so of two at the same time only one
publishes, and a letter is published a second time only where that is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from ioc.errors import UserError
from ioc.settings import Settings
from streams.clients import client_arguments
from streams.letters import Found, Progress, Wanted, answering, client, fetch_raw, find_letters, last_clocks
from streams.repair import Letter, LetterId, Ready, Refused, Unrepairable, verdict, with_fields
from streams.schemas import Clock, Replayed
from streams.topics import Topics
from streams.transactions import TRANSACTION_TIMEOUT_MS

#: Letters of a transaction: so few that readers of committed records hardly wait behind it.
BATCH = 200
#: Header of a record that was published again: the id of its dead letter.
HEADER = "ioc-replay-of"


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
    return answering(settings, _replay(settings, wanted, change, by, now, again, progress))


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
        async with client(settings) as consumer:
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
        found = await find_letters(settings, wanted, frozenset(), progress)
        if missing := sorted(str(id) for id in wanted.ids - found.letters.keys()):
            raise UserError(
                f"no dead letter is called {', '.join(missing[:5])}",
                Topics.of(settings).dead_letters.name,
                "see ioc deadletters list, and IOC_TOPIC_PREFIX",
            )
        return found
    # Marks stand behind their letters: which are still to be replayed is known only at the end.
    marks = (await find_letters(settings, replace(wanted, limit=0), frozenset(), None)).marks
    return await find_letters(settings, wanted, frozenset() if again else frozenset(marks), progress)


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
            value = await fetch_raw(self._consumer, self._topics, letter.id)
        if value is None:
            return Refused("gone")
        if self._change.fields:
            try:
                value = with_fields(stream, value, self._change.fields)
            except Unrepairable as problem:
                return Refused("unrepairable", str(problem))
        if stream not in self._clocks:
            self._clocks[stream] = await last_clocks(self._consumer, topic)
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
        **client_arguments(settings),
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

"""A chunk is a transaction: outputs, state and the consumed offset are committed together or not at all.

A `Lease` is the right to process one lane: the partitions of one number of all topics that a group consumes, which
Faust always assigns to one worker. It holds the lane's transactional producer, whose id names group and number:
taking the lease fences whoever held it before, paused or thought dead, and ends what they left open. Only then are
positions and states read, so nothing that the former holder wrote is missed and nothing that it tries to write later
counts.

A broker that has just taken over a partition, or a group, may still answer as of some transactions ago. So a lease
first writes into the log of each state, reads no less than up to there, and finds the position there too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.structs import TopicPartition

from ioc import metrics
from ioc.settings import Settings
from streams.clients import client_arguments

log = logging.getLogger(__name__)

#: How long the broker waits for a silent producer before it aborts its transaction, milliseconds. Readers of
#: committed records wait as long behind it, unless a new lease ends it first.
TRANSACTION_TIMEOUT_MS = 20_000

#: Bytes of a batch: less than Kafka takes unless a cluster's message.max.bytes is set lower than its default.
BATCH_BYTES = 900_000

#: What the log of a state has beside the state: the position after the transaction, and where leases were taken. No
#: source and no table can be called so.
POSITION_KEY, LEASE_KEY = b"\x00position", b"\x00lease"

#: Seconds in which a broker must know of what it has acknowledged.
CATCH_UP_SECONDS = 30.0

_NO_HEADERS: list[tuple[str, bytes]] = []

Record = tuple[bytes | None, bytes | None]


@dataclass
class Effects:
    """What a chunk does: records to write, as (key, value), by topic and partition, in order."""

    records: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))

    def add(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        self.records[topic, partition].append((key, value))

    def extend(self, later: Effects) -> None:
        """Add what a later chunk does."""
        for partition, records in later.records.items():
            self.records[partition] += records


class PositionLost(Exception):
    """The log and the position in it no longer fit: going on would skip records, or judge them twice."""


class Lease:
    """The right to process one lane. Made by `take`; given up by `release`."""

    def __init__(
        self,
        group: str,
        producer: AIOKafkaProducer,
        positions: dict[TopicPartition, int],
        stands: Iterable[Standing],
        settings: Settings,
    ) -> None:
        self.group = group
        #: The next offset to process of each partition.
        self.positions = positions
        stands = list(stands)
        #: The state of each partition as it was restored: the latest value of each key.
        self.states = {one.tp: one.state for one in stands}
        #: How long the log of each state is at least: what is shorter is another one.
        self._lengths = {one.state_tp: one.state_found for one in stands}
        self._state_of = {one.tp: one.state_tp for one in stands}
        self._producer, self._settings = producer, settings

    @classmethod
    async def take(
        cls,
        settings: Settings,
        group: str,
        number: int,
        topics: Mapping[str, str],
        *,
        mend: Callable[[Standing], int] | None = None,
    ) -> Lease:
        """Fence the former holder, then read positions and states.

        `topics` are the consumed topics with the topic of the state of each; partition `number` of all of them is
        the lane. `mend` is for whoever makes lost states anew: it is told how each partition stands, and says the
        position.

        Raises `PositionLost` where position, log and state of a partition do not belong together (not with `mend`),
        and what aiokafka raises where the broker does not answer.
        """
        started = time.monotonic()
        producer = AIOKafkaProducer(
            **client_arguments(settings),
            transactional_id=f"{group}:{number}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            enable_idempotence=True,
            # A chunk's records for a partition are one batch, since each further one waits for the answer to the one
            # before it. aiokafka's 16 KiB would be dozens; Kafka's limit is 1 MiB (message.max.bytes).
            max_batch_size=BATCH_BYTES,
            # The broker answers a transaction that begins while the one before is being completed with "try
            # again"; at the default of 100 ms that answer would be most of a small chunk's time.
            retry_backoff_ms=20,
        )
        await producer.start()
        _fail_as_a_whole(producer)
        try:
            marks = await _mark(producer, topics.values(), number)
            stands = await standings(settings, group, number, topics, marks)
            positions = {one.tp: one.position() if mend is None else mend(one) for one in stands}
            if mend is None:
                await _set_back(producer, group, stands)
        except BaseException:
            await producer.stop()
            raise
        log.info(
            "lane %d of %s: %s, %.2f s",
            number,
            group,
            ", ".join(
                f"{one.tp.topic} from offset {positions[one.tp]} with {len(one.state)} states"
                for one in stands
            ),
            time.monotonic() - started,
        )
        return cls(group, producer, positions, stands, settings)

    async def commit(self, effects: Effects, ends: Mapping[TopicPartition, int]) -> None:
        """Write the effects and move the positions to `ends`, in one transaction.

        Whatever is raised leaves the transaction undone or unknown: the process must end, and the next lease
        finds out which. Retrying here could write twice. Raises `PositionLost` where the log of a state was made anew
        under this lease: it holds too little, and nobody could tell later.
        """
        producer = self._producer
        for tp, end in ends.items():
            state = self._state_of[tp]
            effects.add(state.topic, state.partition, POSITION_KEY, b"%d" % end)
        await producer.begin_transaction()
        sent = []
        for (topic, partition), records in effects.records.items():
            for batch in _batches(producer, records):
                count = batch.record_count()
                future = await producer.send_batch(batch, topic, partition=partition)
                future.add_done_callback(_heard)
                sent.append((future, count))
        lengths = self._lengths
        committed = {tp: (end, str(lengths[self._state_of[tp]])) for tp, end in ends.items()}
        await producer.send_offsets_to_transaction(committed, self.group)
        grown = dict(lengths)
        # Before the commit: it does not fail where a batch was refused, it would go on without that batch.
        for future, count in sent:
            written = await future
            tp = TopicPartition(written.topic, written.partition)
            if (length := lengths.get(tp)) is not None:
                if written.offset < length:
                    raise PositionLost(
                        f"{tp.topic}/{tp.partition} was made anew: it had {length} offsets, and now goes on at "
                        f"{written.offset}"
                    )
                grown[tp] = max(grown[tp], written.offset + count)
        await producer.commit_transaction()
        self.positions.update(ends)
        self._lengths = grown

    async def look_into_gap(self, tp: TopicPartition, position: int) -> None:
        """Offsets after `position` were not there to be read: tell where retention has deleted records.

        Markers and what was given up leave gaps as well, of which nothing is told. Raises nothing: where the broker
        does not answer, commits fail too.
        """
        try:
            async with reader(self._settings, tp) as consumer:
                beginning = (await consumer.beginning_offsets([tp]))[tp]
        except (KafkaError, OSError) as error:
            log.warning("%s/%d: no answer about a gap behind offset %d: %s", *tp, position, error)
            return
        if beginning > position:
            _tell_trimmed(tp, position, beginning)

    async def release(self) -> None:
        """Give up the producer. An open transaction is left to be ended by the next lease."""
        await self._producer.stop()


async def _mark(producer: AIOKafkaProducer, states: Iterable[str], number: int) -> dict[TopicPartition, int]:
    """Write into the log of each state, but for one that was deleted; at which offset."""
    present = (await producer.client.fetch_all_metadata()).topics()
    wanted = [state for state in states if state in present]
    if not wanted:
        return {}
    async with producer.transaction():
        sent = [
            await producer.send(state, key=LEASE_KEY, value=b"taken", partition=number) for state in wanted
        ]
        written = [await future for future in sent]
    return {TopicPartition(one.topic, one.partition): one.offset for one in written}


async def _set_back(producer: AIOKafkaProducer, group: str, stands: Iterable[Standing]) -> None:
    """Tell the group the position where it believes to be further than the state is."""
    ahead = [one for one in stands if one.group_is_ahead]
    if not ahead:
        return
    for one in ahead:
        log.error(
            "%s/%d: the group stands at offset %d, but its state at %d: a transaction was committed in part; "
            "going on from the state's",
            *(*one.tp, one.told, one.committed),
        )
    async with producer.transaction():
        back = {one.tp: (one.committed, str(one.state_expected)) for one in ahead}
        await producer.send_offsets_to_transaction(back, group)


def _heard(future: asyncio.Future[Any]) -> None:
    """Where a commit fails nobody asks for the other batches: that is no error to be told of."""
    if not future.cancelled():
        future.exception()


def _fail_as_a_whole(producer: AIOKafkaProducer) -> None:
    """Let a transaction that has failed take with it what waits to be sent.

    When the broker refuses a topic (this user may not write it) aiokafka ends the transaction, but then sends the
    batches of the other topics all the same; the broker appends them, and readers of committed records see them.
    """
    manager, waiting = producer._txn_manager, producer._message_accumulator
    ended = manager.error_transaction

    def error_transaction(error: Exception) -> None:
        ended(error)
        waiting.fail_all(error)
        # The caller learns of it once; that the others were not asked is no error of its own.
        for future in (
            manager._transaction_waiter,
            *(one.future for of in waiting._batches.values() for one in of),
        ):
            future.exception()
        waiting._batches.clear()

    manager.error_transaction = error_transaction


def _batches(producer: AIOKafkaProducer, records: list[Record]) -> Iterator[Any]:
    """Records as batches for one partition, as few as will hold them."""
    written = 0
    while written < len(records):
        batch = producer.create_batch()
        # What aiokafka does for each record around this call takes twice as long as the call.
        append = batch._builder.append
        offset = 0
        for key, value in islice(records, written, None):
            # The time is a matter of form: the broker stamps what it appends.
            if append(offset, 0, key, value, _NO_HEADERS) is None:
                break
            offset += 1
        batch._relative_offset = offset
        batch.close()
        written += offset
        yield batch


@dataclass(frozen=True)
class Standing:
    """How a partition stands, as its last committed transaction left it."""

    tp: TopicPartition
    state_tp: TopicPartition
    #: The committed position: the state's, which is written with it, or else the group's; None before the first.
    committed: int | None
    #: What the broker keeps of the log: its first offset, and the one after its last.
    beginning: int
    end: int
    state: dict[bytes, bytes]
    #: How long the state's log was at least at the last commit, and how long it is, as offsets.
    state_expected: int
    state_found: int
    #: What the group says of its position.
    told: int | None

    @property
    def group_is_ahead(self) -> bool:
        """Whether the group was told of a transaction of which the state knows nothing."""
        return self.told is not None and self.committed is not None and self.told > self.committed

    @property
    def lost(self) -> str:
        """Why position, log and state do not belong together; empty where they do."""
        name, state = f"{self.tp.topic}/{self.tp.partition}", self.state_tp.topic
        if self.committed is None and self.state:
            return f"{name}: {state} holds {len(self.state)} states, but the group has no position"
        if not self.committed:
            return ""
        at = f"{name}: the group stands at offset {self.committed}"
        if self.committed > self.end:
            return f"{at}, the log ends at {self.end}: it is another"
        if not self.state:
            return f"{at}, but {state} holds no state; it was deleted or made anew"
        if self.state_found < self.state_expected:
            had = f"{self.state_expected} offsets and has {self.state_found}"
            return f"{name}: {state} had {had}; it was made anew"
        return ""

    def position(self) -> int:
        """The next offset to process; what was deleted before it was read is told. Raises `PositionLost`."""
        if self.lost:
            raise PositionLost(self.lost)
        if self.committed is None:
            return self.beginning
        if self.committed < self.beginning:
            _tell_trimmed(self.tp, self.committed, self.beginning)
            return self.beginning
        return self.committed


def _tell_trimmed(tp: TopicPartition, position: int, beginning: int) -> None:
    metrics.TRIMMED.labels(tp.topic).inc()
    log.error(
        "%s/%d: retention deleted offsets %d to %d before they were processed: %d records are lost; "
        "raise the topic's retention or add workers",
        *(tp.topic, tp.partition, position, beginning - 1, beginning - position),
    )


async def standings(
    settings: Settings,
    group: str,
    number: int,
    topics: Mapping[str, str],
    marks: Mapping[TopicPartition, int] | None = None,
) -> list[Standing]:
    """How the partitions of a lane stand. Takes no lease: whoever has it goes on.

    `marks` are offsets that the logs of the states have; a broker that does not know of them yet is waited for.
    """
    pairs = [
        (TopicPartition(topic, number), TopicPartition(state, number)) for topic, state in topics.items()
    ]
    return await asyncio.gather(
        *(_standing(settings, group, tp, state_tp, (marks or {}).get(state_tp, -1)) for tp, state_tp in pairs)
    )


async def _standing(
    settings: Settings, group: str, tp: TopicPartition, state_tp: TopicPartition, mark: int
) -> Standing:
    started = time.monotonic()
    async with reader(settings, state_tp, group=group) as consumer:
        # What `consumer.committed` asks for as well, but with the text that was committed beside the offset.
        found = (await consumer._coordinator.fetch_committed_offsets([tp])).get(tp)
        beginning = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        await _until_known(consumer, state_tp, mark)
        state = await read_latest(consumer, state_tp)
        state_end = (await consumer.end_offsets([state_tp]))[state_tp]
    metrics.RESTORE_SECONDS.labels(tp.topic).observe(time.monotonic() - started)
    told = found.offset if found is not None and found.offset >= 0 else None
    expected = int(found.metadata) if told is not None and found.metadata.isdecimal() else 0
    state.pop(LEASE_KEY, None)
    position = state.pop(POSITION_KEY, None)
    committed = told if position is None else int(position)
    return Standing(tp, state_tp, committed, beginning, end, state, expected, state_end, told)


async def _until_known(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
    """Wait until who leads a partition knows that an offset of it is on all brokers that must have it."""
    until = time.monotonic() + CATCH_UP_SECONDS
    while (end := (await consumer.end_offsets([tp]))[tp]) <= offset:
        if time.monotonic() > until:
            raise KafkaTimeoutError(
                f"{tp.topic}/{tp.partition}: offset {offset} was acknowledged, and still it ends at {end}"
            )
        await asyncio.sleep(0.05)


@asynccontextmanager
async def reader(
    settings: Settings, tp: TopicPartition, *, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of the committed records of one partition, from its beginning."""
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        group_id=group,
        enable_auto_commit=False,
        isolation_level="read_committed",
        # Seeking to the beginning instead would race with aiokafka's own reset, which may win with "latest".
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        yield consumer
    finally:
        await consumer.stop()


async def read_latest(consumer: AIOKafkaConsumer, tp: TopicPartition) -> dict[bytes, bytes]:
    """The latest value of each key of a compacted partition; `consumer` is a fresh `reader` of it."""
    end = (await consumer.end_offsets([tp]))[tp]
    latest: dict[bytes, bytes] = {}
    # The last offsets may be markers of transactions, which nobody is given: the position passes them.
    while await consumer.position(tp) < end:
        for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
            if record.value is None:
                latest.pop(record.key, None)
            else:
                latest[record.key] = record.value
    return latest

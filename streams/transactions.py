"""A chunk is a transaction: outputs, state and the consumed offset are committed together or not at all.

A `Lease` is the right to process one lane: the partitions of one number of all topics that a group consumes, which
Faust always assigns to one worker. It holds the lane's transactional producer, whose id names group and number:
taking the lease fences whoever held it before, paused or thought dead, and ends what they left open. Only then are
positions and states read, so nothing that the former holder wrote is missed and nothing that it tries to write later
counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
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
        states: dict[TopicPartition, dict[bytes, bytes]],
    ) -> None:
        self.group = group
        #: The next offset to process of each partition.
        self.positions = positions
        #: The state of each partition as it was restored: the latest value of each key.
        self.states = states
        self._producer = producer

    @classmethod
    async def take(cls, settings: Settings, group: str, number: int, topics: Mapping[str, str]) -> Lease:
        """Fence the former holder, then read positions and states.

        `topics` are the consumed topics with the topic of the state of each; partition `number` of all of them is
        the lane.

        Raises `PositionLost` where a state's log is gone but the position is not, and what aiokafka raises
        where the broker does not answer.
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
        tps = [TopicPartition(topic, number) for topic in topics]
        try:
            restored = await asyncio.gather(
                *(_restore(settings, group, tp, TopicPartition(topics[tp.topic], number)) for tp in tps)
            )
        except BaseException:
            await producer.stop()
            raise
        log.info(
            "lane %d of %s: %s, %.2f s",
            number,
            group,
            ", ".join(
                f"{tp.topic} from offset {position} with {len(state)} states"
                for tp, (position, state) in zip(tps, restored, strict=True)
            ),
            time.monotonic() - started,
        )
        positions = {tp: position for tp, (position, _) in zip(tps, restored, strict=True)}
        states = {tp: state for tp, (_, state) in zip(tps, restored, strict=True)}
        return cls(group, producer, positions, states)

    async def commit(self, effects: Effects, ends: Mapping[TopicPartition, int]) -> None:
        """Write the effects and move the positions to `ends`, in one transaction.

        Whatever is raised leaves the transaction undone or unknown: the process must end, and the next lease
        finds out which. Retrying here could write twice.
        """
        producer = self._producer
        await producer.begin_transaction()
        sent = []
        for (topic, partition), records in effects.records.items():
            for batch in _batches(producer, records):
                sent.append(await producer.send_batch(batch, topic, partition=partition))
        await producer.send_offsets_to_transaction(dict(ends), self.group)
        # Before the commit: it does not fail where a batch was refused, it would go on without that batch.
        for future in sent:
            await future
        await producer.commit_transaction()
        self.positions.update(ends)

    async def release(self) -> None:
        """Give up the producer. An open transaction is left to be ended by the next lease."""
        await self._producer.stop()


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


async def _restore(
    settings: Settings, group: str, tp: TopicPartition, state_tp: TopicPartition
) -> tuple[int, dict[bytes, bytes]]:
    """Position and state of a partition, as its last committed transaction left them."""
    started = time.monotonic()
    async with reader(settings, state_tp, group=group) as consumer:
        committed = await consumer.committed(tp)
        beginning = (await consumer.beginning_offsets([tp]))[tp]
        state = await read_latest(consumer, state_tp)
        if committed is None:
            position = beginning
        elif committed < beginning:
            metrics.TRIMMED.labels(tp.topic).inc()
            log.error(
                "%s/%d: retention deleted offsets %d to %d before they were processed: %d records are lost; "
                "raise the topic's retention or add workers",
                *(tp.topic, tp.partition, committed, beginning - 1, beginning - committed),
            )
            position = beginning
        else:
            position = committed
        if committed and not state:
            raise PositionLost(
                f"{tp.topic}/{tp.partition}: the group stands at offset {committed}, but {state_tp.topic} holds no "
                f"state; it was deleted or made anew"
            )
    metrics.RESTORE_SECONDS.labels(tp.topic).observe(time.monotonic() - started)
    return position, state


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

"""A chunk is a transaction: outputs, state and the consumed offset are committed together or not at all.

A `Lease` is the right to process one partition. It holds the partition's transactional producer, whose id names
group, topic and partition: taking the lease fences whoever held it before, paused or thought dead, and ends what
they left open. Only then are position and state read, so nothing that the former holder wrote is missed and
nothing that it tries to write later counts.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from ioc import metrics

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
    """The right to process one partition. Made by `take`; given up by `release`."""

    def __init__(
        self,
        tp: TopicPartition,
        group: str,
        producer: AIOKafkaProducer,
        position: int,
        state: dict[bytes, bytes],
        state_topic: str,
    ) -> None:
        self.tp = tp
        self.group = group
        #: The next offset to process.
        self.position = position
        #: The partition's state as it was restored: the latest value of each key.
        self.state = state
        self.state_topic = state_topic
        self._producer = producer

    @classmethod
    async def take(cls, bootstrap: str, group: str, tp: TopicPartition, state_topic: str) -> Lease:
        """Fence the former holder, then read position and state. The state's partition has the same number.

        Raises `PositionLost` where the state's log is gone but the position is not, and what aiokafka raises
        where the broker does not answer.
        """
        started = time.monotonic()
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=f"{group}:{tp.topic}:{tp.partition}",
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
        try:
            position, state = await _restore(bootstrap, group, tp, TopicPartition(state_topic, tp.partition))
        except BaseException:
            await producer.stop()
            raise
        took = time.monotonic() - started
        metrics.RESTORE_SECONDS.labels(tp.topic).observe(took)
        log.info(
            "%s/%d: from offset %d with %d states, %.2f s", tp.topic, tp.partition, position, len(state), took
        )
        return cls(tp, group, producer, position, state, state_topic)

    async def commit(self, effects: Effects, end: int) -> None:
        """Write the effects and move the position to `end`, in one transaction.

        Whatever is raised leaves the transaction undone or unknown: the process must end, and the next lease
        finds out which. Retrying here could write twice.
        """
        producer = self._producer
        await producer.begin_transaction()
        sent = []
        for (topic, partition), records in effects.records.items():
            for batch in _batches(producer, records):
                sent.append(await producer.send_batch(batch, topic, partition=partition))
        await producer.send_offsets_to_transaction({self.tp: end}, self.group)
        # Before the commit: it does not fail where a batch was refused, it would go on without that batch.
        for future in sent:
            await future
        await producer.commit_transaction()
        self.position = end

    async def release(self) -> None:
        """Give up the producer. An open transaction is left to be ended by the next lease."""
        await self._producer.stop()


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
    bootstrap: str, group: str, tp: TopicPartition, state_tp: TopicPartition
) -> tuple[int, dict[bytes, bytes]]:
    """Position and state of a partition, as its last committed transaction left them."""
    async with reader(bootstrap, state_tp, group=group) as consumer:
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
        return position, state


@asynccontextmanager
async def reader(
    bootstrap: str, tp: TopicPartition, *, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of the committed records of one partition, from its beginning."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
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

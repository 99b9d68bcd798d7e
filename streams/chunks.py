"""Faust's consumer, handing over one message for each chunk: consecutive records of one partition.

Faust's cost is a cost for each message, and what `take()` hands over mixes partitions. Here the transport's
consumer yields a message whose value is a `Chunk`, so that agents see few messages and every chunk has one
partition. Two more things differ from Faust's own consumer, both on purpose:

- It reads committed records only.
- It never commits. The topics are declared with `acks=False`, so Faust keeps no account of what was
  acknowledged; offsets are committed inside the transaction of their chunk (`streams.transactions`).

Nothing here decides what is processed: after a rebalance Faust may hand over a chunk again, and the lease on the
partition skips what is behind its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.structs import ConsumerRecord
from faust.serializers import codecs
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

#: How long the broker may hold back an answer while there is nothing to read, milliseconds. Faust has 1,500.
FETCH_WAIT_MS = 100


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of one partition, as the broker gave them."""

    tp: TP
    records: Sequence[ConsumerRecord]
    #: Offset after the chunk that was handed over before this one; None for the first after a seek.
    follows: int | None
    #: Offset after the last record that the broker has for this partition.
    highwater: int
    #: The assignment of partitions under which it was read; a later one makes the chunk void.
    generation: int

    @property
    def end(self) -> int:
        """Offset after the last record of the chunk."""
        return int(self.records[-1].offset) + 1


class _ChunkCodec(codecs.Codec):
    """Hands a chunk through Faust's decoding untouched."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


codecs.register("chunk", _ChunkCodec())


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust ties both to its own exactly-once mode and to a constant; the fetcher reads them at start.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class ChunkConsumer(driver.Consumer):
    """The aiokafka driver's consumer, a message a chunk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handed_over: dict[TP, int] = {}
        #: Set when a partition whose stream was full may be read again.
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        self._handed_over.clear()
        await super().perform_seek()

    async def wait_empty(self) -> None:
        """Do not wait for the streams: Faust's wait is unbounded (it may never end on SIGTERM).

        A chunk at work either commits, or its transaction is aborted by the partition's next lease.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._room.set()

    def resume_flow(self) -> None:
        super().resume_flow()
        self._room.set()

    async def _wait_next_records(
        self, timeout: float
    ) -> tuple[dict[TP, list[ConsumerRecord]] | None, set[TP] | None]:
        """Records to hand over, by partition, and the partitions that may be read.

        Faust sleeps a second where every stream is full. A few chunks fill a stream, so that would be most of the
        time: this waits for room instead.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = self._get_active_partitions()
        if not active:
            self._room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), timeout)
            return None, active
        return await self._getmany(active_partitions=active, timeout=timeout), active

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        limit = self.app.conf.broker_max_poll_records or 2000
        for tp, of_partition in records.items():
            if not (active is None or tp in active or tp in self._buffered_partitions):
                continue
            for start in range(0, len(of_partition), limit):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                chunk = Chunk(
                    tp,
                    of_partition[start : start + limit],
                    self._handed_over.get(tp),
                    self.highwater(tp) or 0,
                    generation,
                )
                self._handed_over[tp] = chunk.end
                yield tp, _message(chunk)


def _message(chunk: Chunk) -> ConsumerMessage:
    last = chunk.records[-1]
    return ConsumerMessage(
        chunk.tp.topic,
        chunk.tp.partition,
        last.offset,
        (last.timestamp or 0) / 1000.0,
        last.timestamp_type,
        [],
        None,
        chunk,
        None,
        0,
        0,
        chunk.tp,
        generation_id=chunk.generation,
    )


class ChunkTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = ChunkConsumer


def use_chunks(app: faust.App) -> None:
    """Let an app's topics be read in chunks. Its agents then see values of type `Chunk`."""
    app.transport = ChunkTransport(app.conf.broker_consumer, app, loop=None)


def chunk_topic(app: faust.App, name: str) -> Any:
    """A topic whose agent sees `Chunk`s."""
    return app.topic(
        name,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="chunk",
        internal=False,
        acks=False,
        allow_empty=True,
    )

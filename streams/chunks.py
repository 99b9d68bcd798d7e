"""Faust's consumer, handing over one message for each chunk: consecutive records of one partition.

Faust's cost is a cost for each message, and what `take()` hands over mixes partitions. Here the transport's
consumer yields a message whose value is a `Chunk`, so that agents see few messages and every chunk has one
partition. With `IOC_TRANSPORT=records` each record is a message of its own, as Faust does it, and a chunk of one:
the same results at a hundredth of the speed, for whoever suspects this file.

What else differs from Faust's own consumer, in both ways of reading, is on purpose:

- It reads committed records only.
- It never commits. The topics are declared with `acks=False`, so Faust keeps no account of what was
  acknowledged; offsets are committed inside the transaction of their chunk (`streams.transactions`).
- It does not sleep while every partition has enough in memory, it does not wait for streams to be empty, and it makes
  no tasks to hand over a message.

Nothing here decides what is processed: after a rebalance Faust may hand over a chunk again, and the pipeline of the
lane skips what is behind its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import IllegalStateError
from aiokafka.structs import ConsumerRecord
from faust.serializers import codecs
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.decoding import RawRecord
from streams.fetched import FetchedRuns, records_of

#: The versions whose internals are overridden here and that the tests of this file have proven.
PROVEN_WITH = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

#: How long the broker may hold back an answer for more to come, milliseconds. Faust has 1,500.
FETCH_WAIT_MS = 30
#: Bytes that end that wait. An answer for each event would be a transaction for each, and all of them late.
FETCH_AT_ONCE = 2**20
#: Bytes that one answer may have over all partitions; aiokafka's 50 MiB would be 200,000 records in memory.
FETCH_BYTES = 4 * 2**20
#: Seconds after which a seek is tried again that the assignment changed under, and how often it is tried.
AGAIN_SECONDS, SEEKS = 0.05, 200


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of one partition, as the broker gave them."""

    tp: TP
    records: Sequence[RawRecord]
    #: Offset after the chunk that was handed over before this one, or that was sought; None where nothing says that
    #: what lies before this chunk was handed over or committed.
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


class Only:
    """The partitions that may be read, as they are at the moment.

    Never false: of no partition aiokafka would hand over all. A set that was not empty when the fetch began may be so
    by the time the broker answers.
    """

    def __init__(self, active: set[TP]) -> None:
        self._active = active

    def __contains__(self, tp: object) -> bool:
        return tp in self._active


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that fetches, with what Faust ties to its own exactly-once mode or to a constant."""

    def look_again(self) -> None:
        """A partition may be read again: what was fetched of it may be what a fetch under way waits for."""
        if (consumer := self._consumer) is not None:
            with suppress(RuntimeError):  # the thread has ended
                self.thread_loop.call_soon_threadsafe(self.wake, consumer._fetcher)

    @staticmethod
    def wake(fetcher: Any) -> None:
        """Let what waits in a fetcher for records look at what it has."""
        for waiter in fetcher._fetch_waiters:
            fetcher._notify(waiter)

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # The fetcher reads them at start.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._fetch_min_bytes = FETCH_AT_ONCE
        consumer._fetch_max_bytes = FETCH_BYTES
        return consumer


class _ChunkThread(ConsumerThread):
    async def on_start(self) -> None:
        await super().on_start()
        # Nothing is assigned yet, so nothing was fetched.
        self._ensure_consumer()._fetcher._records = FetchedRuns()

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        # All that was fetched: the limit would be one for all partitions together, and leave remainders that hold
        # up the next fetch. What the worker has no room for is not among the active partitions.
        return records_of(await super()._fetch_records(consumer, active_partitions, timeout, None))


class _Consumer(driver.Consumer):
    """What both ways of reading have in common."""

    Thread: type[ConsumerThread] = ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handed_over: dict[TP, int] = {}
        #: Where the reading of a partition began, until its first chunk.
        self._sought: dict[TP, int | None] = {}
        #: Set when a partition that had enough in memory may be read again.
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return self.Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Go back to what is committed, of the partitions that are assigned in the end.

        Partitions may come and go while it is asked for: aiokafka raises then (an `AssertionError` where none is
        left), which would end Faust's fetcher for good.
        """
        self._handed_over.clear()
        for tries_left in reversed(range(SEEKS)):
            if not self.assignment():
                return
            try:
                await self._seek_back()
                return
            except (IllegalStateError, AssertionError):
                if not tries_left:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)

    async def _seek_back(self) -> None:
        await super().perform_seek()
        self._sought = {tp: self._read_offset[tp] for tp in self.assignment()}
        # Where nothing is committed yet aiokafka stays where it is: what was read under a former assignment, and was
        # void with that, would be skipped.
        new = [
            driver.ensure_aiokafka_TP(tp) for tp in self.assignment() if not self._committed_offset.get(tp)
        ]
        if new:
            await self._thread.seek_to_beginning(*new)

    async def wait_empty(self) -> None:
        """Do not wait for the streams: Faust's wait is unbounded (it may never end on SIGTERM).

        A chunk at work either commits, or its transaction is aborted by the partition's next lease.
        """

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand over what is read, until the consumer or the fetcher is stopped.

        Faust races each hand-over against a suspension of the flow: four tasks and some steps of the event loop for
        each, in which the work on other chunks goes on, so that the sixteenth chunk of an answer came 70 ms after the
        first. The agents hand chunks on at once, so nothing is ever waited for here while the flow is active.
        """
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                async for tp, message in self.getmany(timeout=1.0):
                    if not self.flow_active:
                        break  # what is left will be read again
                    before = self._read_offset[tp]
                    if before is None or message.offset >= before:
                        await self.callback(message)
                        self._read_offset[tp] = message.offset
                # Where nothing is awaited in it, others get their turn.
                await asyncio.sleep(0)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._room.set()
        self._thread.look_again()

    def resume_flow(self) -> None:
        super().resume_flow()
        self._room.set()

    async def _wait_next_records(self, timeout: float) -> tuple[dict[TP, list[Any]] | None, set[TP] | None]:
        """Records to hand over, by partition, and the partitions that may be read.

        Faust sleeps a second where no partition may be read. A few chunks are enough for that, so it would sleep
        most of the time: this waits for room instead.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = self._get_active_partitions()
        if not active:
            self._room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), timeout)
            return None, active
        return await self._getmany(active_partitions=Only(active), timeout=timeout), active

    def _chunk(self, tp: TP, records: Sequence[RawRecord], generation: int) -> ConsumerMessage:
        tp = TP(*tp)  # the driver hands on aiokafka's, which Faust refuses elsewhere
        follows, sought = self._handed_over.get(tp), self._sought.pop(tp, None)
        # Where what was sought is not there, the log was made anew and is read from its beginning.
        if follows is None and sought is not None and sought <= records[0].offset:
            follows = sought
        chunk = Chunk(tp, records, follows, self.highwater(tp) or 0, generation)
        self._handed_over[tp] = chunk.end
        return _message(chunk)


class ChunkConsumer(_Consumer):
    """The aiokafka driver's consumer, a message a chunk."""

    Thread = _ChunkThread

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
            for part in even_parts(of_partition, limit):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                yield tp, self._chunk(tp, part, generation)


class RecordConsumer(_Consumer):
    """The aiokafka driver's consumer, a message a record, each as a chunk of one."""

    def _to_message(self, tp: TP, record: ConsumerRecord) -> ConsumerMessage:
        return self._chunk(tp, [record], self.app.consumer_generation_id)


def even_parts(records: Sequence[Any], limit: int) -> Iterator[Sequence[Any]]:
    """Consecutive parts of at most `limit` records and about the same size: no small remainder, since a part costs a
    transaction however small it is."""
    count = -(-len(records) // limit)
    for number in range(count):
        yield records[len(records) * number // count : len(records) * (number + 1) // count]


def _message(chunk: Chunk) -> ConsumerMessage:
    last = chunk.records[-1]
    return ConsumerMessage(
        chunk.tp.topic,
        chunk.tp.partition,
        last.offset,
        (last.timestamp or 0) / 1000.0,
        1,  # stamped by the broker, as all our topics are
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
    """Faust's aiokafka transport, a message a chunk."""

    Consumer = ChunkConsumer


class RecordTransport(driver.Transport):
    """Faust's aiokafka transport, a message a record."""

    Consumer = RecordConsumer


def use_transport(app: faust.App, name: str) -> None:
    """Let an app's topics be read in "chunks" or "records". Its agents then see values of type `Chunk`."""
    transport = ChunkTransport if name == "chunks" else RecordTransport
    app.transport = transport(app.conf.broker_consumer, app, loop=None)


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

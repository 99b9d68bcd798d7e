"""The functions of the product without Faust: a batched aiokafka loop, a transaction a chunk. The ceiling.

One consumer for all partitions. What it has fetched is judged at once; a lane's commit goes on meanwhile, and what is
judged until it is done goes into the next one, or a transaction's fill while more is known to come (a lane is the
partitions of one number of the four topics). So it does what the product's pipelines do, and as they do it takes the
records as aiokafka parsed them; it has neither rebalancing, nor metrics, nor a way to stop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from ioc.settings import Settings, load_settings
from streams.chunks import FETCH_AT_ONCE, FETCH_BYTES, FETCH_WAIT_MS, even_parts
from streams.configuration import Configurations
from streams.decoding import RawRecord
from streams.fetched import FetchedRuns, records_of
from streams.sensing import Sensing
from streams.shelf import Shelf, installed_registry
from streams.topics import Topics
from streams.transactions import Effects, Lease
from streams.worker import fill_records
from streams.workers import look_for_garbage_rarely
from tests.bench.stream.ground import topics_for


class Lane:
    """The partitions of one number of all streams: their judgement, and the commits that follow it."""

    def __init__(self, lease: Lease, judges: Mapping[TopicPartition, Sensing], fill: int) -> None:
        self._lease, self._judges, self._fill = lease, judges, fill
        self._effects, self._ends, self._waiting = Effects(), dict[TopicPartition, int](), 0
        #: Of each partition, the records that the broker had behind the newest ones.
        self._left = dict[TopicPartition, int]()
        self._commits: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether as much waits for its commit as may."""
        return self._waiting >= self._fill

    @property
    def _due(self) -> bool:
        """Whether what waits is to be committed: it is a transaction's fill, or no more is known to come."""
        return self.full or max(self._left.values()) <= self._fill

    async def work(
        self, tp: TopicPartition, records: Sequence[RawRecord], highwater: int, configurations: Configurations
    ) -> None:
        judge = self._judges[tp]
        for name in judge.configurations_needed(records):
            if missing := await configurations.fetch(name):
                raise RuntimeError(missing)
        self._effects.extend(judge.work(records, configurations.known).effects)
        self._ends[tp] = records[-1].offset + 1
        self._waiting += len(records)
        self._left[tp] = highwater - self._ends[tp]
        if not self._due:
            return
        if self._commits is None or self._commits.done():
            if self._commits is not None:
                self._commits.result()  # raises where one failed
            self._commits = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        while self._waiting and self._due:
            effects, ends = self._effects, self._ends
            self._effects, self._ends, self._waiting = Effects(), {}, 0
            for tp in ends:
                self._judges[tp].write_state(effects)
            await self._lease.commit(effects, ends)


async def _take(settings: Settings, topics: Topics, group: str, shelf: Shelf) -> dict[TopicPartition, Lane]:
    atlas = shelf.atlas(installed_registry(settings))
    streams = {topic.name: stream for stream, topic in topics.raw.items()}
    states = {topics.raw[stream].name: topics.raw_state[stream].name for stream in topics.raw}

    fill = fill_records(settings.raw_partitions)

    async def take(number: int) -> Lane:
        lease = await Lease.take(settings, group, number, states)
        judges = {
            tp: Sensing(
                streams[tp.topic],
                number,
                topics,
                atlas,
                state,
                late_bound=settings.late_bound,
                future_tolerance=settings.future_tolerance,
            )
            for tp, state in lease.states.items()
        }
        return Lane(lease, judges, fill)

    lanes = await asyncio.gather(*(take(number) for number in range(settings.raw_partitions)))
    return {TopicPartition(topic, number): lane for number, lane in enumerate(lanes) for topic in states}


async def main() -> None:
    settings, prefix = load_settings(), os.environ["BENCH_PREFIX"]
    topics, shelf = topics_for(settings, prefix), Shelf(settings)
    configurations = Configurations(settings, shelf)
    lanes = await _take(settings, topics, f"{prefix}ceiling", shelf)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        fetch_min_bytes=FETCH_AT_ONCE,
        fetch_max_bytes=FETCH_BYTES,
    )
    look_for_garbage_rarely()  # as the product does
    await consumer.start()
    consumer._fetcher._records = FetchedRuns()
    consumer.assign(list(lanes))
    while True:
        ready = [tp for tp, lane in lanes.items() if not lane.full]
        if not ready:
            await asyncio.sleep(0.001)
            continue
        for tp, records in records_of(await consumer.getmany(*ready, timeout_ms=20)).items():
            for part in even_parts(records, settings.chunk_records):
                await lanes[tp].work(tp, part, consumer.highwater(tp) or 0, configurations)
            # Commits go on between the work on two partitions.
            await asyncio.sleep(0)


asyncio.run(main())

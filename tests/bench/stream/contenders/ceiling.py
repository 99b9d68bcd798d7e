"""The functions of the product without Faust: a batched aiokafka loop, a transaction a chunk. The ceiling.

One consumer for all partitions. What it has fetched is judged at once; a partition's commit goes on meanwhile, and
what is judged until it is done goes into the next one. So it does what the product's pipelines do, and as they do it
takes the records as aiokafka parsed them; it has neither rebalancing, nor metrics, nor a way to stop.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from ioc.settings import Settings, load_settings
from streams.chunks import FETCH_BYTES, FETCH_WAIT_MS, _PlainRecords, even_parts
from streams.configuration import Configurations
from streams.decoding import RawRecord
from streams.sensing import Sensing
from streams.shelf import Shelf, installed_registry
from streams.topics import Topics
from streams.transactions import Effects, Lease
from tests.bench.stream.ground import topics_for


class Partition:
    """One raw partition: its judgement, and the commits that follow it."""

    def __init__(self, lease: Lease, sensing: Sensing, limit: int) -> None:
        self._lease, self._sensing, self._limit = lease, sensing, limit
        self._effects, self._end, self._waiting = Effects(), 0, 0
        self._commits: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether as much waits for its commit as may."""
        return self._waiting >= self._limit

    async def work(self, records: Sequence[RawRecord], configurations: Configurations) -> None:
        for name in self._sensing.configurations_needed(records):
            if missing := await configurations.fetch(name):
                raise RuntimeError(missing)
        self._effects.extend(self._sensing.run(records, configurations.known).effects)
        self._end, self._waiting = records[-1].offset + 1, self._waiting + len(records)
        if self._commits is None or self._commits.done():
            if self._commits is not None:
                self._commits.result()  # raises where one failed
            self._commits = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        while self._waiting:
            effects, self._effects, self._waiting = self._effects, Effects(), 0
            await self._lease.commit(effects, self._end)


async def _take(
    settings: Settings, topics: Topics, group: str, shelf: Shelf
) -> dict[TopicPartition, Partition]:
    atlas = shelf.atlas(installed_registry(settings))

    async def take(stream: str, number: int) -> tuple[TopicPartition, Partition]:
        tp = TopicPartition(topics.raw[stream].name, number)
        lease = await Lease.take(settings.bootstrap, group, tp, topics.raw_state[stream].name)
        sensing = Sensing(
            stream,
            number,
            topics,
            atlas,
            lease.state,
            late_bound=settings.late_bound,
            future_tolerance=settings.future_tolerance,
        )
        return tp, Partition(lease, sensing, settings.chunk_records)

    wanted = [(stream, number) for stream in topics.raw for number in range(settings.raw_partitions)]
    return dict(await asyncio.gather(*(take(*one) for one in wanted)))


async def main() -> None:
    settings, prefix = load_settings(), os.environ["BENCH_PREFIX"]
    topics, shelf = topics_for(settings, prefix), Shelf(settings)
    configurations = Configurations(settings, shelf)
    partitions = await _take(settings, topics, f"{prefix}ceiling", shelf)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        fetch_max_bytes=FETCH_BYTES,
    )
    # As the product does: looking for garbage every 700 objects would be a sixth of the work.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    await consumer.start()
    consumer._fetcher._records = _PlainRecords()
    consumer.assign(list(partitions))
    while True:
        ready = [tp for tp, partition in partitions.items() if not partition.full]
        if not ready:
            await asyncio.sleep(0.001)
            continue
        for tp, records in (await consumer.getmany(*ready, timeout_ms=20)).items():
            for part in even_parts(records, settings.chunk_records):
                await partitions[tp].work(part, configurations)
            # Commits go on between the work on two partitions.
            await asyncio.sleep(0)


asyncio.run(main())

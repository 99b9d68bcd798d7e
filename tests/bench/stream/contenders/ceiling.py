"""The functions of the product without Faust: a batched aiokafka loop, a transaction a chunk. The ceiling.

One consumer for all partitions; what it hands over is judged at once, and the commit of a partition's chunk overlaps
the work on the next ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from ioc.settings import load_settings
from streams.configuration import Configurations
from streams.sensing import Sensing
from streams.shelf import Shelf, installed_registry
from streams.transactions import Lease
from tests.bench.stream.ground import topics_for


async def main() -> None:
    settings, prefix = load_settings(), os.environ["BENCH_PREFIX"]
    topics = topics_for(settings, prefix)
    group = f"{prefix}ceiling"
    shelf = Shelf(settings)
    atlas = shelf.atlas(installed_registry(settings))
    configurations = Configurations(settings, shelf)
    streams = {topic.name: stream for stream, topic in topics.raw.items()}
    tps = [
        TopicPartition(topic.name, number)
        for topic in topics.raw.values()
        for number in range(topic.partitions)
    ]
    state_topics = {topics.raw[stream].name: state.name for stream, state in topics.raw_state.items()}
    leases = dict(
        zip(
            tps,
            await asyncio.gather(
                *(Lease.take(settings.bootstrap, group, tp, state_topics[tp.topic]) for tp in tps)
            ),
            strict=True,
        )
    )
    sensings = {
        tp: Sensing(
            streams[tp.topic],
            tp.partition,
            topics,
            atlas,
            lease.state,
            late_bound=settings.late_bound,
            future_tolerance=settings.future_tolerance,
        )
        for tp, lease in leases.items()
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    consumer.assign(tps)
    for tp, lease in leases.items():
        consumer.seek(tp, lease.position)
    commits: dict[TopicPartition, asyncio.Task[None]] = {}

    async def work(tp: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        sensing = sensings[tp]
        for name in sensing.configurations_needed(records):
            if missing := await configurations.fetch(name):
                raise RuntimeError(missing)
        effects = sensing.run(records, configurations.known).effects
        if tp in commits:
            await commits[tp]
        commits[tp] = asyncio.create_task(leases[tp].commit(effects, records[-1].offset + 1))

    while True:
        for tp, records in (
            await consumer.getmany(timeout_ms=500, max_records=settings.chunk_records)
        ).items():
            await work(tp, records)


asyncio.run(main())

"""Reads the raw log with aiokafka and counts: what reading alone costs. Nothing is decoded and nothing written."""

from __future__ import annotations

import asyncio
import os

from aiokafka import AIOKafkaConsumer

from ioc.settings import load_settings
from streams.schemas import CLOCK_KEY
from streams.topics import Topics


async def main() -> None:
    settings = load_settings()
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in Topics.of(settings).raw.values()),
        bootstrap_servers=settings.bootstrap,
        group_id=f"{os.environ['BENCH_PREFIX']}bare",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        events = told = 0
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                events += sum(record.key != CLOCK_KEY for record in records)
            if events > told:
                print(events, flush=True)
                told = events
    finally:
        await consumer.stop()


asyncio.run(main())

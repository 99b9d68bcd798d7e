"""What became of the events that the load wrote, each by its number: located once, or lost, or twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from ioc.settings import Settings
from streams.topics import Topic, Topics

#: An event's id is its number in the load, a hyphen, and what the city calls it; a located event begins with it.
ID = b'{"id":"'

#: The one source beside the city's. Its alert stays open, for an operator to acknowledge.
LASTING = "lasting"
_OF_LASTING = ID + LASTING.encode()


@dataclass(frozen=True)
class Account:
    """How many of the events are what."""

    located: int
    dead: int
    #: Neither located nor a dead letter.
    lost: int
    #: Located more than once.
    duplicated: int


def account(settings: Settings, written: int, tell: Callable[[int], None]) -> Account:
    """What became of the events 0 to `written`, for a reader of committed records; `tell` gets how many it has read.

    Raises `ValueError` where a located event is none of them.
    """
    return asyncio.run(_account(settings, written, tell))


async def _account(settings: Settings, written: int, tell: Callable[[int], None]) -> Account:
    topics = Topics.of(settings)
    times = bytearray(written)
    read = 0
    async with _values(settings, topics.located) as batches:
        async for values in batches:
            for value in values:
                if value.startswith(_OF_LASTING):
                    continue
                if not value.startswith(ID):
                    raise ValueError(f"a located event without a number: {value[:80]!r}")
                number = int(value[len(ID) : value.index(b"-", len(ID))])
                if number >= written:
                    raise ValueError(f"a located event that was not written: {value[:80]!r}")
                times[number] = min(2, times[number] + 1)
            read += len(values)
            tell(read)
    async with _values(settings, topics.dead_letters) as batches:
        dead = sum([len(values) async for values in batches])
    missing = times.count(0)
    return Account(written - missing, dead, max(0, missing - dead), times.count(2))


@asynccontextmanager
async def _values(settings: Settings, topic: Topic) -> AsyncIterator[AsyncIterator[list[bytes]]]:
    """The values of all committed records that a topic has now, as they come."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)

        async def read() -> AsyncIterator[list[bytes]]:
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    yield [record.value for record in records]

        yield read()
    finally:
        await consumer.stop()

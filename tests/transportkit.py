"""A worker whose work shows at once what was lost, doubled or put in another order: it numbers records.

Each record of the flood topic is written on to ioc.located, behind the number that it has among its source's records.
The numbers are the state. So a record that is lost leaves a gap or is not there, one that is worked on twice takes a
number too many, and a state that was not restored begins again with 1. Run with `python -m tests.transportkit`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence

from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError

from ioc.health import Health
from ioc.logs import configure_logs
from ioc.settings import Settings, load_settings
from streams.decoding import RawRecord
from streams.pipeline import Done
from streams.topics import Topics
from streams.transactions import Effects
from streams.worker import Worker
from tests.system import read_all

log = logging.getLogger(__name__)

#: A record that is worked on only once the process has had SIGUSR1; it logs WAITS before.
WAIT = b"wait"
WAITS = "waits for SIGUSR1"
#: Seconds that the work on a chunk takes at least.
SLOW = "IOC_TEST_SLOW"


class Numbering:
    """Numbers the records of each source of one partition."""

    clock: float | None = None

    def __init__(
        self, tp: TopicPartition, topics: Topics, restored: Mapping[bytes, bytes], gate: asyncio.Event
    ) -> None:
        self._tp, self._topics, self._gate = tp, topics, gate
        self._numbers = {source: int(value) for source, value in restored.items()}

    def ready(self, records: Sequence[RawRecord]) -> bool:
        return all(record.value != WAIT for record in records)

    async def prepare(self, records: Sequence[RawRecord]) -> None:
        if any(record.value == WAIT for record in records):
            log.info(WAITS)
            await self._gate.wait()

    def work(self, records: Sequence[RawRecord]) -> Done:
        time.sleep(float(os.environ.get(SLOW, "0")))
        effects = Effects()
        for record in records:
            source, value = record.key or b"", record.value or b""
            number = self._numbers[source] = self._numbers.get(source, 0) + 1
            effects.add(self._topics.located.name, self._tp.partition, source, b"%d %s" % (number, value))
        for source in {record.key or b"" for record in records}:
            effects.add(
                self._topics.raw_state["flood"].name,
                self._tp.partition,
                source,
                b"%d" % self._numbers[source],
            )
        return Done(effects, lambda: None)

    def released(self) -> None:
        pass


def group(settings: Settings) -> str:
    """The consumer group of these workers."""
    return f"{settings.topic_prefix}ioc-numbering"


def committed(settings: Settings, admin: KafkaAdminClient) -> dict[int, int]:
    """The group's committed offset in each partition of the flood topic, as anybody can see it."""
    name = group(settings)
    try:
        offsets = admin.list_group_offsets({name: None})[name]
    except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError):
        return {}  # the first group that a new broker has
    return {tp.partition: entry.offset for tp, entry in offsets.items() if entry.offset >= 0}


def send(producer: KafkaProducer, settings: Settings, source: str, value: bytes, partition: int) -> None:
    topic = Topics.of(settings).raw["flood"].name
    producer.send(topic, key=source.encode(), value=value, partition=partition)


def numbered(settings: Settings) -> dict[str, list[tuple[int, str]]]:
    """Number and value of each record that readers of committed records see, by source, in the log's order."""
    found: dict[str, list[tuple[int, str]]] = {}
    for record in read_all(settings, Topics.of(settings).located.name):
        number, _, value = record.value.decode().partition(" ")
        found.setdefault(record.key.decode(), []).append((int(number), value))
    return found


async def main() -> None:
    settings = load_settings()
    topics = Topics.of(settings)
    pairs = [(topics.raw["flood"], topics.raw_state["flood"])]
    gate = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, gate.set)
    await Worker(
        "numbering", settings, Health(), pairs, lambda tp, state: Numbering(tp, topics, state, gate)
    ).run()


if __name__ == "__main__":
    configure_logs()
    asyncio.run(main())

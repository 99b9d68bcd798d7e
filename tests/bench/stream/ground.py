"""Where the contenders run: one broker, the raw log that all of them read, and topics of their own for each run.

The broker is the one that ships, as it ships. The raw log is written once and stays; what a run makes is deleted
after it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from geo.boundaries import BoundarySet
from geo.cache import present_set
from ioc.broker import Broker
from ioc.ports import free_port
from ioc.settings import Settings, load_settings
from streams.admin import ensure_topics
from streams.configuration import publish_configuration
from streams.schemas import CLOCK_KEY
from streams.topics import STREAMS, Topic, Topics
from tests.bench.stream.events import City, steps

RULES = Path(__file__).with_name("rules.yaml")
#: Bytes of a batch of the raw log; the broker takes 1 MiB.
BATCH_BYTES = 500_000


@dataclass(frozen=True)
class Log:
    """A raw log as it was written: under its own prefix, without transactions, offsets from 0 on."""

    settings: Settings
    city: City
    #: By topic and partition, the offsets of its clock records, in order.
    clocks: dict[tuple[str, int], np.ndarray]
    #: By topic and partition, its records.
    ends: dict[tuple[str, int], int]

    @cached_property
    def events(self) -> int:
        """Its records that are no clock records."""
        return sum(self.events_before(tp, end) for tp, end in self.ends.items())

    def events_before(self, tp: tuple[str, int], offset: int) -> int:
        """How many events lie before an offset."""
        return offset - int(np.searchsorted(self.clocks[tp], offset))


class Ground:
    """A broker with its directory. Make it with `ground`."""

    def __init__(self, broker: Broker, settings: Settings, directory: Path) -> None:
        self.broker, self.directory = broker, directory
        self.settings = settings
        self._admin = KafkaAdminClient(bootstrap_servers=broker.address, client_id="bench")
        self._consumer = KafkaConsumer(bootstrap_servers=broker.address)

    def settings_of(self, prefix: str, **more: object) -> Settings:
        """Settings of processes under a topic prefix: the rules of the comparison, no inventory.

        `border_width` is 0: no contender but the product could name the neighbour across a border.
        """
        return load_settings(
            **{
                **self.settings.model_dump(),
                "bootstrap_servers": self.broker.address,
                "topic_prefix": prefix,
                "rules_file": RULES,
                "border_width": 0.0,
                **more,
            }
        )

    def boundaries(self, settings: Settings) -> BoundarySet:
        return present_set(settings.provinces, settings.cache_dir)

    def preload(self, prefix: str, city: City, events: int, **more: object) -> Log:
        """Write at least `events` events, to the end of a step, under a prefix of its own; `more` are settings."""
        settings = self.settings_of(prefix, raw_partitions=city.partitions, **more)
        ensure_topics(settings)
        config = publish_configuration(settings).hash
        return asyncio.run(_write(settings, city, self.boundaries(settings), config, events))

    def topics_for(self, log: Log, prefix: str) -> Topics:
        """A table whose raw topics are the log's and whose others have this prefix."""
        return topics_for(log.settings, prefix)

    def make(self, topics: Iterable[Topic]) -> None:
        """Make topics, waiting for those of the same name to be gone."""
        wanted = {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": 1,
                "configs": topic.settings(),
            }
            for topic in topics
        }
        self._until_gone(wanted)
        self._admin.create_topics(wanted)
        self._admin.wait_for_topics(list(wanted))

    def written(self, topic: str) -> int:
        """Records that a topic has by now, markers of transactions among them."""
        tps = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()]
        return sum(self._consumer.end_offsets(tps).values())

    def forget(self, prefix: str, keep: Iterable[str] = ()) -> None:
        """Delete the topics whose names hold a prefix, but those to keep, and its groups' offsets."""
        kept = set(keep)
        names = [name for name in self._admin.list_topics() if prefix in name and name not in kept]
        if names:
            self._admin.delete_topics(names)
        deadline = time.monotonic() + 60
        while groups := [name for name in self._groups() if prefix in name]:
            # A group has members until its last one was heard to leave, or its session ran out.
            with suppress(KafkaError):
                self._admin.delete_groups(groups)
            if time.monotonic() > deadline:
                raise TimeoutError(f"groups are not deleted: {groups}")
            time.sleep(0.3)
        self._until_gone(names)

    def _until_gone(self, names: Iterable[str]) -> None:
        deadline = time.monotonic() + 20
        while set(names) & set(self._admin.list_topics()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"topics are not deleted: {sorted(names)}")
            time.sleep(0.2)

    def _groups(self) -> list[str]:
        return [group["group_id"] for group in self._admin.list_groups()]


def topics_for(raw: Settings, prefix: str) -> Topics:
    """The table of topics with the raw topics of `raw` and all others under `prefix`."""
    table = Topics.of(raw.model_copy(update={"topic_prefix": prefix}))
    return replace(table, raw=Topics.of(raw).raw)


@contextmanager
def ground(directory: Path) -> Iterator[Ground]:
    """A broker of its own in a directory, which goes with the block."""
    settings = load_settings(
        bootstrap_servers="",
        state_dir=directory / "state",
        broker_port=free_port(),
        broker_controller_port=free_port(),
        **{f"{name}_port": 0 for name in ("wall", *_HEALTH)},
    )
    broker = Broker(settings)
    try:
        broker.start()
        broker.wait_ready()
        yield Ground(broker, settings, directory)
    finally:
        broker.stop()
        shutil.rmtree(directory, ignore_errors=True)


_HEALTH = ("sense_health", "correlate_health", "clock_health", "wall_health")


async def _write(settings: Settings, city: City, boundaries: BoundarySet, config: str, events: int) -> Log:
    topics = Topics.of(settings).raw
    tps = [(topics[stream].name, number) for stream in STREAMS for number in range(city.partitions)]
    ends, clocks = dict.fromkeys(tps, 0), {tp: list[int]() for tp in tps}
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap, max_batch_size=BATCH_BYTES, max_request_size=2 * BATCH_BYTES
    )
    await producer.start()
    batches = {tp: producer.create_batch() for tp in tps}
    try:

        async def send(tp: tuple[str, int]) -> None:
            batches[tp].close()
            await producer.send_batch(batches[tp], tp[0], partition=tp[1])
            batches[tp] = producer.create_batch()

        written = 0
        for records in steps(city, boundaries, config):
            for stream, number, key, value in records:
                tp = topics[stream].name, number
                if batches[tp].append(key=key, value=value, timestamp=None) is None:
                    await send(tp)
                    batches[tp].append(key=key, value=value, timestamp=None)
                if key == CLOCK_KEY:
                    clocks[tp].append(ends[tp])
                else:
                    written += 1
                ends[tp] += 1
            if written >= events:
                break
        for tp in tps:
            await send(tp)
        await producer.flush()
    finally:
        await producer.stop()
    return Log(settings, city, {tp: np.array(offsets) for tp, offsets in clocks.items()}, ends)

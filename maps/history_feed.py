"""Kafka to the history: frames, alerts and incidents are followed; what sources said is looked up when asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from ioc.settings import Settings
from maps.history import History
from streams.clients import client_arguments
from streams.picturing import FRAME_PREFIX, REPORT_PREFIX, SOURCE_PREFIX
from streams.topics import Topic, Topics

log = logging.getLogger(__name__)

#: Changes of alerts are read from so many hours before the first frame that is kept; what is older, but still
#: named, is in ioc.alerts as it stands.
BEFORE_HOURS = 24
#: Records of each partition of ioc.located that are looked at for one moment.
LOCATED_TAIL = 5_000
#: Seconds that a look-up may take.
LOOK_UP_SECONDS = 10.0
RETRY_SECONDS, STOP_SECONDS = 2.0, 0.7
STEP_RECORDS = 500


class HistoryFeed:
    """Fills a history from the log, and follows it."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self.topics = settings, Topics.of(settings)
        self.history = History(settings.history_hours)
        #: Set once all that was there is read.
        self.read = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Read and follow until cancelled. Trouble with the broker is said, and tried again."""
        said = ""
        while True:
            try:
                await self._session()
            except (KafkaError, OSError, TimeoutError) as error:
                detail = str(error) or type(error).__name__
                if detail != said:
                    log.warning("the history cannot be read, trying again: %s", detail)
                    said = detail
            await asyncio.sleep(RETRY_SECONDS)

    async def _session(self) -> None:
        async with _consumer(self._settings) as consumer:
            history = History(self._settings.history_hours)
            async for complete in self._follow(consumer, history):
                if complete and self.history is not history:
                    self.history = history
                    self.read.set()

    async def fill(self) -> None:
        """Read what is there, once. Raises aiokafka's errors."""
        async with _consumer(self._settings) as consumer:
            async for complete in self._follow(consumer, self.history):
                if complete:
                    return

    async def _follow(self, consumer: AIOKafkaConsumer, history: History) -> AsyncIterator[bool]:
        """Take records as they come; yields whether all that was there at first is taken."""
        topics = self.topics
        partitions = _partitions(topics.picture, topics.alerts, topics.alert_changes, topics.incidents)
        consumer.assign(partitions)
        async with asyncio.timeout(LOOK_UP_SECONDS):
            ends = await consumer.end_offsets(partitions)
            hours = self._settings.history_hours + BEFORE_HOURS
            since_ms = int((time.time() - hours * 3600) * 1000)
            changes = {tp: since_ms for tp in partitions if tp.topic == topics.alert_changes.name}
            for tp, found in (await consumer.offsets_for_times(changes)).items():
                consumer.seek(tp, ends[tp] if found is None else found.offset)
        missing = set(partitions)
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=STEP_RECORDS)
            for batch in batches.values():
                self._take(batch, history)
            missing = {tp for tp in missing if await consumer.position(tp) < ends[tp]}
            yield not missing
            await asyncio.sleep(0)

    def _take(self, batch: Iterable[ConsumerRecord], history: History) -> None:
        for record in batch:
            if record.value is None:
                continue
            if record.topic == self.topics.incidents.name:
                history.take_incident(record.value)
            elif record.topic != self.topics.picture.name:
                history.take_alert(record.value)
            elif record.key is not None and record.key.startswith(FRAME_PREFIX):
                history.take_frame(record.value, record.timestamp)

    async def located(self, appended_ms: int) -> list[bytes]:
        """The last events that stand in ioc.located before a moment of the broker's clock, in no order.

        Raises aiokafka's errors and `TimeoutError`.
        """
        async with (
            self._one_at_a_time,
            asyncio.timeout(LOOK_UP_SECONDS),
            _consumer(self._settings) as consumer,
        ):
            partitions = _partitions(self.topics.located)
            consumer.assign(partitions)
            first = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            after = await consumer.offsets_for_times(dict.fromkeys(partitions, appended_ms + 1))
            stops = {
                tp: min(ends[tp], found.offset) if (found := after[tp]) else ends[tp] for tp in partitions
            }
            for tp in partitions:
                consumer.seek(tp, max(first[tp], stops[tp] - LOCATED_TAIL))
            values: list[bytes] = []
            missing = set(partitions)
            while missing := {tp for tp in missing if await consumer.position(tp) < stops[tp]}:
                batches = await consumer.getmany(*missing, timeout_ms=200, max_records=STEP_RECORDS)
                for tp, batch in batches.items():
                    values += [
                        record.value
                        for record in batch
                        if record.offset < stops[tp] and record.value is not None
                    ]
                await asyncio.sleep(0)
            return values


async def read_values(settings: Settings, topic: Topic) -> list[bytes]:
    """The records of a topic up to its end now: of each key the last where it is compacted, else all of them.

    Raises aiokafka's errors.
    """
    values: dict[object, bytes | None] = {}
    async for record in _read(settings, topic):
        values[record.key if topic.compacted else (record.partition, record.offset)] = record.value
    return [value for value in values.values() if value is not None]


async def latest_events(settings: Settings) -> list[bytes]:
    """What ioc.picture has of sources and reports: the wall begins with it. Records as in ioc.located, in no order.

    Raises aiokafka's errors.
    """
    latest: dict[bytes, bytes | None] = {}
    async for record in _read(settings, Topics.of(settings).picture):
        if record.key is not None and record.key.startswith((SOURCE_PREFIX, REPORT_PREFIX)):
            latest[record.key] = record.value
    return [value for value in latest.values() if value is not None]


async def _read(settings: Settings, topic: Topic) -> AsyncIterator[ConsumerRecord]:
    async with _consumer(settings) as consumer:
        partitions = _partitions(topic)
        consumer.assign(partitions)
        async with asyncio.timeout(LOOK_UP_SECONDS):
            ends = await consumer.end_offsets(partitions)
        missing = set(partitions)
        # The last offsets may be markers of transactions, which nobody is given: the position passes them.
        while missing := {tp for tp in missing if await consumer.position(tp) < ends[tp]}:
            for batch in (await consumer.getmany(*missing, timeout_ms=200)).values():
                for record in batch:
                    yield record
            await asyncio.sleep(0)


def _partitions(*topics: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        client_id="ioc-wall-history",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
    )
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            await consumer.start()
        yield consumer
    finally:
        # Without a broker aiokafka may wait for ever.
        stopping = asyncio.ensure_future(consumer.stop())
        stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        stopping.cancel()

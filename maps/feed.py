"""Kafka to the picture: restores it from the log, follows the log, starts afresh when the broker was lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ioc.health import Health
from ioc.settings import Settings
from maps.history_feed import latest_events
from maps.live import Live
from maps.picture import Picture
from streams.clients import client_arguments
from streams.configuration import ERROR_KEY
from streams.topics import Topics

log = logging.getLogger(__name__)

#: Records of each partition of ioc.located that are read again after a restart.
LOCATED_TAIL = 5_000
#: The same of ioc.signals: enough to hear every raw partition at least once, transaction markers included.
SIGNALS_TAIL = 2_000
#: The same of ioc.audit: an outcome that a page waits for is among the last.
AUDIT_TAIL = 200
#: Records applied before the event loop may do something else.
STEP_RECORDS = 500
#: Seconds without any record after which the broker is asked whether it is there.
SILENT_SECONDS = 2.0
PROBE_SECONDS = 3.0
#: Seconds in which ioc.picture is read.
RESTORE_SECONDS = 30.0
RETRY_SECONDS = 1.0
#: Seconds for a consumer to stop in order.
STOP_SECONDS = 0.7

T = TypeVar("T")


class FeedLost(Exception):
    """The broker does not answer, or lacks a topic."""


class Feed:
    """Reads ioc.alerts, ioc.incidents and ioc.config whole, of the others the last records, and what follows.

    No group.
    """

    def __init__(self, settings: Settings, live: Live, health: Health | None = None) -> None:
        self._settings, self._bootstrap = settings, settings.bootstrap
        topics = Topics.of(settings)
        self._topics = (
            topics.alerts, topics.incidents, topics.located, topics.signals, topics.audit, topics.config,
        )  # fmt: skip
        self._alerts, self._incidents, self._located, self._signals, self._audit, self._config = (
            topic.name for topic in self._topics
        )
        self._tails = {self._located: LOCATED_TAIL, self._signals: SIGNALS_TAIL, self._audit: AUDIT_TAIL}
        self._live = live
        self._health = health
        #: Set while the picture is restored and followed.
        self.restored = asyncio.Event()

    async def run(self) -> None:
        """Keep the picture up to date until cancelled. Trouble with the broker is shown, and tried again."""
        said = ""
        while True:
            try:
                await self._session()
            except (FeedLost, KafkaError, OSError, TimeoutError) as error:
                detail = str(error) or type(error).__name__
                if detail != said:
                    log.warning("the broker at %s is not usable, trying again: %s", self._bootstrap, detail)
                    said = detail
            await asyncio.sleep(RETRY_SECONDS)

    def _check(self, ok: bool, detail: str) -> None:
        if self._health is not None:
            self._health.check("picture", ok, detail)

    async def _session(self) -> None:
        consumer = AIOKafkaConsumer(
            **client_arguments(self._settings),
            client_id="ioc-wall",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=100,
            request_timeout_ms=10_000,
        )
        try:
            await _within(consumer.start(), 10, "it does not answer")
            if self._live.state == "lost":
                self._live.set_state("restoring")
            partitions = await self._assign(consumer)
            await self._follow(consumer, partitions)
        except (FeedLost, KafkaError, OSError, TimeoutError) as error:
            # Shown before the consumer is stopped, which takes its time when nobody answers.
            self.restored.clear()
            self._live.set_state("lost")
            self._check(False, str(error) or type(error).__name__)
            raise
        finally:
            await _stop(consumer)

    async def _assign(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        partitions: list[TopicPartition] = []
        known = await _within(consumer.topics(), PROBE_SECONDS, "it does not tell its topics")
        for topic in self._topics:
            if topic.name not in known:
                raise FeedLost(f"topic {topic.name} does not exist yet")
            # From the table: the consumer knows the partitions only of what it is already assigned to.
            partitions += [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        return partitions

    async def _follow(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        started = time.monotonic()
        first = await _within(
            consumer.beginning_offsets(partitions), PROBE_SECONDS, "no answer about its log"
        )
        # Read committed: the end is where the first open transaction begins.
        ends = await _within(consumer.end_offsets(partitions), PROBE_SECONDS, "no answer about its log")
        picture = Picture()
        for value in await _within(
            latest_events(self._settings), RESTORE_SECONDS, "no answer about ioc.picture"
        ):
            picture.apply_located(value, counted=False)
        for partition in partitions:
            tail = self._tails.get(partition.topic)
            begin = first[partition] if tail is None else max(first[partition], ends[partition] - tail)
            consumer.seek(partition, begin)
            if partition.topic == self._located and begin > first[partition]:
                picture.truncated = True
        missing = {partition for partition in partitions if first[partition] < ends[partition]}
        heard = time.monotonic()
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=STEP_RECORDS)
            now_ms = time.time_ns() // 1_000_000
            appended = self._apply(picture, batches.values(), None if missing else now_ms)
            if missing:
                missing = {at for at in missing if await consumer.position(at) < ends[at]}
                if not missing:
                    self._restored(picture, time.monotonic() - started)
            if not self.restored.is_set() and not missing:
                self._restored(picture, time.monotonic() - started)
            elif appended and not missing:
                self._live.touch(appended)
            if appended:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS:
                # aiokafka says nothing of a lost broker; it would go on asking for ever.
                await _within(
                    consumer.end_offsets(partitions[:1]), PROBE_SECONDS, "it does not answer any more"
                )
                heard = time.monotonic()
            await asyncio.sleep(0)

    def _restored(self, picture: Picture, seconds: float) -> None:
        log.info("the picture is restored after %.1f s", seconds)
        self._live.replace(picture)
        self._live.set_state("live")
        self._check(True, "restored and followed")
        self.restored.set()

    def _apply(self, picture: Picture, batches: Iterable[list[Any]], now_ms: int | None) -> list[int]:
        """Apply records; returns when the broker appended those that viewers wait for."""
        appended: list[int] = []
        for batch in batches:
            for record in batch:
                if record.topic == self._signals:
                    picture.apply_passed(
                        record.value or b"{}",
                        record.timestamp if now_ms is None else now_ms,
                        record.timestamp,
                    )
                elif record.topic == self._alerts:
                    key = (record.key or b"").decode(errors="replace")
                    picture.apply_alert(record.value, key, record.partition)
                elif record.topic == self._incidents:
                    picture.apply_incident(record.value, (record.key or b"").decode(errors="replace"))
                elif record.topic == self._config:
                    if record.key == ERROR_KEY:
                        picture.apply_configuration_error(record.value)
                elif record.topic == self._audit:
                    picture.apply_outcome(record.value or b"")
                elif record.value is not None:
                    picture.apply_located(record.value)
                appended.append(record.timestamp)
        return appended


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, or leave it to itself: without a broker aiokafka may wait for ever."""
    stopping = asyncio.ensure_future(consumer.stop())
    stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.wait({stopping}, timeout=STOP_SECONDS)
    stopping.cancel()


async def _within(work: Awaitable[T], seconds: float, otherwise: str) -> T:
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        raise FeedLost(otherwise) from None

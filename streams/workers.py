"""The two workers: sense reads the raw streams, correlate reads the signals."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import get_args

from aiokafka.structs import TopicPartition

from alerts.alert import SUPPRESSIONS, ChangeName
from alerts.model import SEVERITIES
from ioc import metrics
from ioc.health import Health, serve_health
from ioc.settings import Settings
from streams import correlating, sensing
from streams.admin import require_topics
from streams.configuration import Configurations
from streams.correlating import Correlating
from streams.decoding import RawRecord
from streams.pipeline import Done, Processor
from streams.sensing import Sensing
from streams.shelf import Shelf, installed_registry
from streams.topics import Topics
from streams.transactions import Effects
from streams.worker import Worker

log = logging.getLogger(__name__)

_timestamp = attrgetter("timestamp")
#: Seconds between warnings of reports that name their reporter.
WARN_SECONDS = 60.0


class SenseProcessor:
    """`streams.sensing` on one raw partition, with the configurations it needs and the metrics it leads to."""

    def __init__(self, of: Sensing, configurations: Configurations, health: Health) -> None:
        self._sensing, self._configurations, self._health = of, configurations, health
        self._unsealed, self._warn_at = 0, 0.0

    @property
    def clock(self) -> float | None:
        clock = self._sensing.state.clock
        return clock.timestamp() if clock else None

    def ready(self, records: Sequence[RawRecord]) -> bool:
        return self._configurations.known.keys() >= set(self._sensing.configurations_needed(records))

    async def prepare(self, records: Sequence[RawRecord]) -> None:
        await _fetch(self._sensing.configurations_needed(records), self._configurations, self._health)

    def work(self, records: Sequence[RawRecord]) -> Done:
        outcome = self._sensing.work(records, self._configurations.known)
        appended = Counter(map(_timestamp, records))
        appended.subtract(outcome.clocks_ms)
        return Done(outcome.effects, lambda: self._count(outcome, appended))

    def write_state(self, effects: Effects) -> None:
        self._sensing.write_state(effects)

    def _count(self, out: sensing.Outcome, appended: Counter[int]) -> None:
        """`appended` are the times at which the broker appended the chunk's events, ms since 1970."""
        stream = self._sensing.stream
        metrics.EVENTS.labels(stream).inc(out.events)
        for counter, counts in (
            (metrics.LOCATED, out.located),
            (metrics.DEAD, out.dead),
            (metrics.UNJUDGED, out.unjudged),
            (metrics.DOUBTED, out.doubted),
            (metrics.SIGNALS, out.signals),
        ):
            for label, count in counts.items():
                counter.labels(stream, label).inc(count)
        metrics.SUMS_LEFT_OUT.labels(stream).inc(out.left_out)
        if out.unsealed:
            metrics.UNSEALED_REPORTS.inc(out.unsealed)
            self._unsealed += out.unsealed
        if self._unsealed and time.monotonic() >= self._warn_at:
            unsealed, self._unsealed, self._warn_at = self._unsealed, 0, time.monotonic() + WARN_SECONDS
            log.warning(
                "%d reports of %s/%d name their reporter in plain words: nothing of that goes on, but the raw topic "
                "keeps it; whoever feeds it must seal (see ioc privacy seal)",
                *(unsealed, self._sensing.topic, self._sensing.partition),
            )
        partition = str(self._sensing.partition)
        metrics.MISPLACED.labels(self._sensing.topic, partition).set(self._sensing.misplaced)
        now = time.time()
        metrics.LOCATED_DELAY.observe(
            stream, ((max(0.0, now - moment / 1000), count) for moment, count in appended.items())
        )

    def released(self) -> None:
        pass  # what stands of it is labelled by its partition, and dropped with that


async def _fetch(names: Iterable[str], configurations: Configurations, health: Health) -> None:
    """Make configurations known. One that is not there yet is waited for, and said to be."""
    for name in names:
        while missing := await configurations.fetch(name):
            health.check("configuration", False, f"waiting for {missing}")
            log.warning("waiting for %s", missing)
            await asyncio.sleep(1.0)
    health.check("configuration", True)


class CorrelateProcessor:
    """`streams.correlating` on one province, with its metrics."""

    def __init__(
        self, of: Correlating, province: str, configurations: Configurations, health: Health
    ) -> None:
        self._correlating, self._province = of, province
        self._configurations, self._health = configurations, health
        #: What the newest chunk led to: as soon as that is committed, what stands open is what is committed.
        self._newest: correlating.Outcome | None = None
        for change in get_args(ChangeName):
            for severity in SEVERITIES:
                # From the start, so that the first one is an increase.
                metrics.ALERT_CHANGES.labels(change, severity)

    @property
    def clock(self) -> float | None:
        passed = self._correlating.passed
        return passed.timestamp() if passed else None

    def ready(self, records: Sequence[RawRecord]) -> bool:
        return self._configurations.known.keys() >= set(self._correlating.configurations_needed(records))

    async def prepare(self, records: Sequence[RawRecord]) -> None:
        needed = self._correlating.configurations_needed(records)
        await _fetch(needed, self._configurations, self._health)

    def work(self, records: Sequence[RawRecord]) -> Done:
        outcome = self._newest = self._correlating.work(records, self._configurations.known)
        return Done(outcome.effects, lambda: self._count(outcome))

    def write_state(self, effects: Effects) -> None:
        self._correlating.write_state(effects)

    def _count(self, out: correlating.Outcome) -> None:
        now = time.time()
        for alert, appended_ms in out.changes:
            metrics.ALERT_CHANGES.labels(alert.change, alert.severity).inc()
            if appended_ms:
                metrics.ALERT_DELAY.observe(max(0.0, now - appended_ms / 1000))
        for outcome in out.outcomes:
            metrics.COMMANDS.labels(outcome.command.action, outcome.outcome).inc()
        for message in out.messages:
            metrics.AGENCY_MESSAGES.labels(message.agency).inc()
        metrics.UNREADABLE_SIGNALS.inc(out.unreadable)
        if out is self._newest:
            self._count_open()

    def released(self) -> None:
        metrics.forget_province(self._province)

    def _count_open(self) -> None:
        """What stands open, and the rate of alarms."""
        province, correlation = self._province, self._correlating.correlation
        alerts = correlation.open()
        severities = Counter(alert.severity for alert in alerts)
        for severity in SEVERITIES:
            metrics.OPEN_ALERTS.labels(province, severity).set(severities[severity])
        reasons = Counter(alert.suppressed.partition(":")[0] for alert in alerts)
        for reason in SUPPRESSIONS:
            metrics.SUPPRESSED_ALERTS.labels(province, reason).set(reasons[reason])
        metrics.SHELVED_ALERTS.labels(province).set(sum(alert.shelved_until is not None for alert in alerts))
        metrics.OPEN_INCIDENTS.labels(province).set(correlation.incidents.open_count())
        if (moment := correlation.now) is not None:
            rate = correlation.rate
            metrics.set_alarms(province, rate.last(moment, 10), rate.last(moment, 60))


def run_sense(settings: Settings) -> int:
    """Run a sense worker until it is told to stop. Raises `UserError` where it cannot start."""
    topics = Topics.of(settings)
    shelf = Shelf(settings)
    atlas = shelf.atlas(installed_registry(settings))
    streams = {topic.name: stream for stream, topic in topics.raw.items()}

    def build(health: Health) -> Worker:
        configurations = Configurations(settings, shelf)

        def make(tp: TopicPartition, restored: Mapping[bytes, bytes]) -> Processor:
            partition = Sensing(
                streams[tp.topic],
                tp.partition,
                topics,
                atlas,
                restored,
                late_bound=settings.late_bound,
                future_tolerance=settings.future_tolerance,
                source_quota=settings.source_quota,
            )
            return SenseProcessor(partition, configurations, health)

        pairs = [(topics.raw[stream], topics.raw_state[stream]) for stream in topics.raw]
        return Worker("sense", settings, health, pairs, make, in_step=True)

    return _run(settings, settings.sense_health_port, "IOC_SENSE_HEALTH_PORT", build)


def run_correlate(settings: Settings) -> int:
    """Run a correlate worker until it is told to stop. Raises `UserError` where it cannot start."""
    topics = Topics.of(settings)

    shelf = Shelf(settings)

    def build(health: Health) -> Worker:
        configurations = Configurations(settings, shelf)

        def make(tp: TopicPartition, restored: Mapping[bytes, bytes]) -> Processor:
            province = topics.provinces[tp.partition]
            partition = Correlating(tp.partition, topics, restored, history_hours=settings.history_hours)
            return CorrelateProcessor(partition, province, configurations, health)

        # A partition is a province: what one does is nothing to another.
        pairs = [(topics.signals, topics.signals_state)]
        return Worker("correlate", settings, health, pairs, make, in_step=False)

    return _run(settings, settings.correlate_health_port, "IOC_CORRELATE_HEALTH_PORT", build)


def _run(settings: Settings, health_port: int, variable: str, build: Callable[[Health], Worker]) -> int:
    require_topics(settings)
    health = Health()
    with serve_health(health, settings.host, health_port, variable):
        asyncio.run(_work(build, health))
    return 0


def look_for_garbage_rarely() -> None:
    """Set the collector for work in chunks.

    A chunk makes some ten thousand objects and leaves few behind, all of them reachable. Looking for garbage every
    700 objects, as is the default, was a sixth of the work.
    """
    gc.freeze()
    gc.set_threshold(300_000, 20, 50)


async def _work(build: Callable[[Health], Worker], health: Health) -> None:
    look_for_garbage_rarely()
    # Faust's objects belong to the running loop: they are made inside it.
    await build(health).run()

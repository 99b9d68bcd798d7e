"""The whole path without a broker: a recording through the same functions as the workers', in memory.

Any chunk size and any interleaving of the partitions gives the same alert changes; so this one judges whole
recordings at once, and tests let it choose at random.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from alerts.alert import Alert
from ioc.settings import Settings
from streams.configuration import Configuration
from streams.correlating import Correlating
from streams.sensing import Sensing
from streams.topics import Topics
from streams.transactions import Effects


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A record as it stands in a log in memory."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int = 0


@dataclass
class Result:
    """What came of a recording."""

    changes: list[Alert] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    located: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)


class MemoryLog:
    """Partitions as lists. Records without an offset get the next one, as a broker would do it."""

    def __init__(self) -> None:
        self.partitions: dict[tuple[str, int], list[MemoryRecord]] = defaultdict(list)

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        records = self.partitions[topic, partition]
        records.append(MemoryRecord(key, value, len(records)))

    def apply(self, effects: Effects) -> None:
        for (topic, partition), records in effects.records.items():
            for key, value in records:
                self.append(topic, partition, key, value)

    def state(self, topic: str, partition: int) -> dict[bytes, bytes]:
        """The latest value of each key, as a new lease would restore it."""
        latest: dict[bytes, bytes] = {}
        for record in self.partitions[topic, partition]:
            assert record.key is not None
            if record.value is None:
                latest.pop(record.key, None)
            else:
                latest[record.key] = record.value
        return latest


def judge(
    settings: Settings,
    configuration: Configuration,
    raw: Iterable[tuple[str, int, bytes | None, bytes | None]],
    *,
    chunk_records: int = 2000,
    shuffle: random.Random | None = None,
    restore_share: float = 0.0,
) -> Result:
    """Judge raw records, given as (topic, partition, key, value) in the log's order.

    With `shuffle` each chunk has a random size up to `chunk_records`, partitions take turns at random, and with
    the probability `restore_share` a partition's state is first restored from its log, as after a crash.
    """
    topics, log, result = Topics.of(settings), MemoryLog(), Result()
    configurations = {configuration.hash: configuration}
    for topic, partition, key, value in raw:
        log.append(topic, partition, key, value)

    def sensing(stream: str, partition: int) -> Sensing:
        return Sensing(
            stream,
            partition,
            topics,
            configuration.atlas,
            log.state(topics.raw_state[stream].name, partition),
            late_bound=settings.late_bound,
            future_tolerance=settings.future_tolerance,
        )

    def correlating(partition: int) -> Correlating:
        return Correlating(partition, topics, log.state(topics.signals_state.name, partition))

    senses = {
        (stream, partition): sensing(stream, partition)
        for stream, topic in topics.raw.items()
        for partition in range(topic.partitions)
    }
    correlates = {partition: correlating(partition) for partition in range(topics.signals.partitions)}
    position: Counter[tuple[str, int]] = Counter()

    def take(topic: str, partition: int) -> list[MemoryRecord]:
        size = shuffle.randint(1, chunk_records) if shuffle else chunk_records
        start = position[topic, partition]
        chunk = log.partitions[topic, partition][start : start + size]
        position[topic, partition] += len(chunk)
        return chunk

    def restored() -> bool:
        return shuffle is not None and shuffle.random() < restore_share

    while True:
        waiting: list[tuple[str | None, int]] = [
            (stream, partition)
            for stream, partition in senses
            if position[topics.raw[stream].name, partition]
            < len(log.partitions[topics.raw[stream].name, partition])
        ]
        waiting += [
            (None, partition)
            for partition in correlates
            if position[topics.signals.name, partition] < len(log.partitions[topics.signals.name, partition])
        ]
        if not waiting:
            return result
        stream, partition = shuffle.choice(waiting) if shuffle else waiting[0]
        if stream is not None:
            if restored():
                senses[stream, partition] = sensing(stream, partition)
            sensed = senses[stream, partition].run(take(topics.raw[stream].name, partition), configurations)
            result.events[stream] += sensed.events
            result.located.update(sensed.located)
            result.dead.update(sensed.dead)
            result.unjudged.update(sensed.unjudged)
            log.apply(sensed.effects)
        else:
            if restored():
                correlates[partition] = correlating(partition)
            correlated = correlates[partition].run(take(topics.signals.name, partition))
            result.changes += [alert for alert, _ in correlated.changes]
            log.apply(correlated.effects)


def as_json(changes: Iterable[Alert]) -> list[bytes]:
    """Alert changes as they stand in ioc.alert-changes, for comparing."""
    return [msgspec.json.encode(alert) for alert in changes]

"""The whole path without a broker: a recording through the same functions as the workers', in memory.

Any chunk size and any interleaving of the partitions gives the same alert changes; so this one judges a recording
piece by piece, and tests let it choose at random.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from alerts.agencies.messages import Message
from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.incident import Incident
from ioc.settings import Settings
from streams.configuration import Configuration
from streams.correlating import Correlating
from streams.sensing import Sensing
from streams.topics import Topics
from streams.transactions import Effects

#: Raw records that `judge` holds at once, so that a recording of weeks can be judged.
HELD_RECORDS = 50_000


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
    incidents: list[Incident] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    located: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)


class MemoryLog:
    """Partitions as lists. Records without an offset get the next one, as a broker would do it."""

    def __init__(self) -> None:
        self.partitions: dict[tuple[str, int], list[MemoryRecord]] = defaultdict(list)
        #: How many records of each partition were dropped from its beginning.
        self._dropped: Counter[tuple[str, int]] = Counter()

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        self.partitions[topic, partition].append(MemoryRecord(key, value, self.end(topic, partition)))

    def records_of(self, topic: str) -> Iterator[MemoryRecord]:
        """The records of all partitions of a topic that were not dropped, partition by partition."""
        for (name, _), records in sorted(self.partitions.items(), key=lambda item: item[0]):
            if name == topic:
                yield from records

    def end(self, topic: str, partition: int) -> int:
        """The offset of the next record."""
        return self._dropped[topic, partition] + len(self.partitions[topic, partition])

    def read(self, topic: str, partition: int, start: int, size: int) -> list[MemoryRecord]:
        """At most so many records from an offset on, which was not dropped."""
        first = start - self._dropped[topic, partition]
        return self.partitions[topic, partition][first : first + size]

    def drop(self) -> None:
        """Drop all records; offsets go on."""
        for name, records in self.partitions.items():
            self._dropped[name] += len(records)
            records.clear()

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


class MemorySystem:
    """All workers of an installation on a log in memory: what is appended to it, `run` judges."""

    def __init__(self, settings: Settings, configurations: Iterable[Configuration]) -> None:
        """`configurations` are those that clock records may name; the first one's maps hold before any does."""
        self.settings, self.topics, self.log, self.result = (
            settings,
            Topics.of(settings),
            MemoryLog(),
            Result(),
        )
        self.configurations = {configuration.hash: configuration for configuration in configurations}
        self._position: Counter[tuple[str, int]] = Counter()
        self._senses: dict[tuple[str, int], Sensing] = {}
        self._correlates: dict[int, Correlating] = {}
        for stream, topic in self.topics.raw.items():
            for partition in range(topic.partitions):
                self.restore(stream, partition)
        for partition in range(self.topics.signals.partitions):
            self.restore(None, partition)

    def restore(self, stream: str | None, partition: int) -> None:
        """Start a partition's worker from its written state, as after a crash; no stream: that of a province."""
        if stream is None:
            state = self.log.state(self.topics.signals_state.name, partition)
            self._correlates[partition] = Correlating(
                partition, self.topics, state, history_hours=self.settings.history_hours
            )
            return
        self._senses[stream, partition] = Sensing(
            stream,
            partition,
            self.topics,
            next(iter(self.configurations.values())).atlas,
            self.log.state(self.topics.raw_state[stream].name, partition),
            late_bound=self.settings.late_bound,
            future_tolerance=self.settings.future_tolerance,
            source_quota=self.settings.source_quota,
        )

    def correlating(self, partition: int = 0) -> Correlating:
        """The worker of a province."""
        return self._correlates[partition]

    def waiting(self) -> list[tuple[str | None, int]]:
        """Partitions with unread records: stream and number, or None and the number of a province."""
        raw: list[tuple[str | None, int]] = [
            (stream, partition)
            for stream, partition in self._senses
            if self._unread(self.topics.raw[stream].name, partition)
        ]
        return raw + [
            (None, partition)
            for partition in self._correlates
            if self._unread(self.topics.signals.name, partition)
        ]

    def _unread(self, topic: str, partition: int) -> int:
        return self.log.end(topic, partition) - self._position[topic, partition]

    def step(self, stream: str | None, partition: int, size: int, *, state: bool = True) -> None:
        """Let one worker process its next chunk, of at most so many records; `state`: and write its state."""
        topic = self.topics.signals.name if stream is None else self.topics.raw[stream].name
        chunk = self.log.read(topic, partition, self._position[topic, partition], size)
        self._position[topic, partition] += len(chunk)
        if stream is None:
            correlated = self._correlates[partition].work(chunk, self.configurations)
            self.result.changes += [alert for alert, _ in correlated.changes]
            self.result.incidents += correlated.incidents
            self.result.messages += correlated.messages
            self.result.outcomes += correlated.outcomes
            self.log.apply(correlated.effects)
        else:
            sensed = self._senses[stream, partition].work(chunk, self.configurations)
            self.result.events[stream] += sensed.events
            self.result.located.update(sensed.located)
            self.result.dead.update(sensed.dead)
            self.result.unjudged.update(sensed.unjudged)
            self.log.apply(sensed.effects)
        if state:
            self._write_state(stream, partition)

    def _write_state(self, stream: str | None, partition: int) -> None:
        effects = Effects()
        worker = self._correlates[partition] if stream is None else self._senses[stream, partition]
        worker.write_state(effects)
        self.log.apply(effects)

    def run(self, chunk_records: int = 2000) -> Result:
        """Process all that is unread; what came of everything so far."""
        while waiting := self.waiting():
            self.step(*waiting[0], chunk_records)
        return self.result

    def run_at_random(self, chance: random.Random, chunk_records: int, restore_share: float) -> Result:
        """The same with partitions that take turns at random, chunks of random sizes, states written for some
        chunks together, and restarts in between."""
        while waiting := self.waiting():
            stream, partition = chance.choice(waiting)
            if chance.random() < restore_share:
                self._write_state(stream, partition)
                self.restore(stream, partition)
            self.step(stream, partition, chance.randint(1, chunk_records), state=chance.random() < 0.5)
        return self.result


def judge(
    settings: Settings,
    configuration: Configuration,
    raw: Iterable[tuple[str, int, bytes | None, bytes | None]],
    *,
    others: Iterable[Configuration] = (),
    chunk_records: int = 2000,
    shuffle: random.Random | None = None,
    restore_share: float = 0.0,
) -> Result:
    """Judge raw records, given as (topic, partition, key, value) in the log's order; commands may be among them.

    `others` are further configurations that the clock records name. With `shuffle` each chunk has a random size up to
    `chunk_records`, partitions take turns at random, and with the probability `restore_share` a partition's state is
    first restored from its log, as after a crash.
    """
    system = MemorySystem(settings, [configuration, *others])
    for number, record in enumerate(raw, 1):
        system.log.append(*record)
        if shuffle is None and number % HELD_RECORDS == 0:
            # Nobody is restored here: what was read, and all that was written, is needed no more.
            system.run(chunk_records)
            system.log.drop()
    if shuffle is None:
        return system.run(chunk_records)
    return system.run_at_random(shuffle, chunk_records, restore_share)


def as_json(changes: Iterable[Alert]) -> list[bytes]:
    """Alert changes as they stand in ioc.alert-changes, for comparing."""
    return [msgspec.json.encode(alert) for alert in changes]

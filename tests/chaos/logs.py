"""The log of one run given to another, undisturbed one, and all that came of each, for comparing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

import msgspec
from kafka import KafkaProducer

from alerts.commands import Command
from ioc.settings import Settings
from streams.admin import ensure_agencies
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import Topics
from tests.system import read_all, running, wait_until_judged

#: Key and value of each record of a partition, in its order.
Partition = list[tuple[bytes | None, bytes | None]]


@dataclass(frozen=True)
class Came:
    """What came of a log."""

    #: By topic (without the prefix) and partition all that correlate wrote, in its order.
    correlated: dict[tuple[str, int], Partition]
    #: Located events, in no order: partitions of sense take turns as they like.
    located: Counter[bytes]
    dead: Counter[tuple[str, str]]

    @classmethod
    def of(cls, settings: Settings, agencies: list[str]) -> Came:
        topics = Topics.of(settings)
        written = [topics.alert_changes, topics.alerts, topics.incidents, topics.audit]
        correlated: dict[tuple[str, int], Partition] = {}
        for topic in [*written, *(topics.agency(agency) for agency in agencies)]:
            name = topic.name.removeprefix(settings.topic_prefix)
            for record in read_all(settings, topic.name):
                correlated.setdefault((name, record.partition), []).append((record.key, record.value))
        letters = [json.loads(record.value) for record in read_all(settings, topics.dead_letters.name)]
        return cls(
            correlated=correlated,
            located=Counter(record.value for record in read_all(settings, topics.located.name)),
            dead=Counter(
                (letter["topic"].removeprefix(settings.topic_prefix), letter["reason"]) for letter in letters
            ),
        )

    def numbers(self) -> dict[str, int]:
        """How many records came, by topic that correlate writes."""
        numbers: Counter[str] = Counter()
        for (topic, _), records in self.correlated.items():
            numbers[topic] += len(records)
        return dict(numbers)

    def assert_same(self, other: Came) -> None:
        """Raise where two runs differ, with the first records that do."""
        assert self.correlated.keys() == other.correlated.keys()
        for at, records in self.correlated.items():
            pairs = zip_longest(records, other.correlated[at])
            for number, (one, another) in enumerate(pairs):
                # Not left to pytest to tell: it would look for differences within the whole log.
                if one != another:
                    raise AssertionError(f"{at}, record {number}:\n{_shown(one)}\n{_shown(another)}")
        assert self.located == other.located
        assert self.dead == other.dead


def _shown(record: tuple[bytes | None, bytes | None] | None) -> str:
    return "nothing" if record is None else " ".join((part or b"").decode() for part in record)


def last_clock(settings: Settings) -> datetime:
    """The time of the last clock record, which every raw partition must have."""
    last: dict[tuple[str, int], datetime] = {}
    topics = Topics.of(settings)
    for topic in topics.raw.values():
        for record in read_all(settings, topic.name):
            if record.key == CLOCK_KEY:
                last[record.topic, record.partition] = msgspec.json.decode(record.value, type=Clock).clock
    assert len(last) == sum(topic.partitions for topic in topics.raw.values())
    [time] = set(last.values())
    return time


def is_command(value: bytes) -> bool:
    """Whether a record of `ioc.signals` is an operator's command."""
    return bool(json.loads(value)["kind"] == "command")


def commands(settings: Settings) -> list[tuple[int, bytes, Command]]:
    """Partition, value and content of all commands in the log."""
    found = []
    for record in read_all(settings, Topics.of(settings).signals.name):
        if is_command(record.value):
            found.append((record.partition, record.value, msgspec.json.decode(record.value, type=Command)))
    return found


def undisturbed(
    settings: Settings, again: Settings, agencies: list[str], directory: Path, *, seconds: float = 120
) -> Came:
    """What comes of the log of `settings` under `again`, another prefix, where nobody disturbs, within `seconds`.

    The log is all that the processes are given: the raw records in their partitions, the configurations, and the
    operators' commands. Those must name the time from which they hold, for here they come before everything else.
    """
    ensure_agencies(again, agencies)
    former, topics = Topics.of(settings), Topics.of(again)
    producer = KafkaProducer(bootstrap_servers=again.bootstrap, acks="all", linger_ms=20)
    try:
        for record in read_all(settings, former.config.name):
            producer.send(topics.config.name, key=record.key, value=record.value, partition=record.partition)
        for partition, value, command in commands(settings):
            assert command.time is not None
            key = topics.provinces[partition].encode()
            producer.send(topics.signals.name, key=key, value=value, partition=partition)
        producer.flush()
        for stream, topic in former.raw.items():
            for record in read_all(settings, topic.name):
                producer.send(
                    topics.raw[stream].name, key=record.key, value=record.value, partition=record.partition
                )
        producer.flush()
    finally:
        producer.close()
    with running(again, directory) as system:
        system.start("sense")
        system.start("correlate")
        wait_until_judged(system, last_clock(settings), seconds)
    return Came.of(again, agencies)

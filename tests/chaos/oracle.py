"""What a log comes to where nobody disturbs: judged in memory, by the functions that the workers use.

Not by the workers' own reading and writing: what is lost, doubled or half done there is not lost here.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import msgspec

from alerts.commands import Command
from alerts.signals import Passed
from ioc.settings import Settings
from streams.configuration import CURRENT_KEY, ERROR_KEY, Configuration, ConfigurationRecord, with_maps
from streams.correlating import Correlating
from streams.offline import MemoryRecord, MemorySystem
from streams.shelf import Shelf
from streams.topics import Topics
from tests.chaos.logs import Came, Partition, is_command
from tests.system import read_all

#: Records of signals that are correlated at once.
CHUNK = 4000


@dataclass(frozen=True)
class Judged:
    """What must have come of a log."""

    came: Came
    #: Commands that stood in the log only after the time from which they were to hold.
    late_commands: int
    #: Signals of sense that the log of signals lacks, and that it has too many of.
    signals_lost: int
    signals_doubled: int


def judge_log(settings: Settings, agencies: list[str]) -> Judged:
    """Judge the raw log of an installation, with the configurations and the operators' commands that it has."""
    topics = Topics.of(settings)
    system = MemorySystem(settings, _configurations(settings))
    for topic in topics.raw.values():
        for record in read_all(settings, topic.name):
            kept = MemoryRecord(record.key, record.value, record.offset, record.timestamp)
            system.log.partitions[topic.name, record.partition].append(kept)
    written = read_all(settings, topics.signals.name)
    late = _late_commands(written)
    if not late:
        # Each holds from a time of its own, so it may as well have come before everything else.
        for record in written:
            if is_command(record.value):
                system.log.append(topics.signals.name, record.partition, record.key, record.value)
    system.run()
    lost, doubled = _signals(
        Counter(record.value or b"" for record in system.log.records_of(topics.signals.name)),
        Counter(record.value for record in written),
    )
    if late:
        _correlate_again(system, settings, written)
    return Judged(_came(system, topics, settings, agencies), late, lost, doubled)


def _configurations(settings: Settings) -> list[Configuration]:
    """Every configuration in the log, in its order."""
    shelf, found = Shelf(settings), {}
    for record in read_all(settings, Topics.of(settings).config.name):
        if record.key not in (CURRENT_KEY, ERROR_KEY) and record.value is not None:
            content = msgspec.json.decode(record.value, type=ConfigurationRecord)
            found[content.hash] = with_maps(content, shelf, rules_name="rules", inventory_name="inventory")
    return list(found.values())


def _late_commands(written: list) -> int:
    """How many commands stand behind the time from which they hold, as all raw partitions had passed it."""
    passed: dict[str, datetime] = {}
    late = 0
    for record in written:
        if is_command(record.value):
            command = msgspec.json.decode(record.value, type=Command)
            late += command.time is None or bool(passed and command.time <= min(passed.values()))
        elif b'"kind":"passed"' in record.value:
            said = msgspec.json.decode(record.value, type=Passed)
            passed[said.source] = said.time
    return late


def _signals(expected: Counter[bytes], written: Counter[bytes]) -> tuple[int, int]:
    """Signals that are missing and that are too many. How often the time is told depends on the chunks."""

    def told(counter: Counter[bytes]) -> Counter[bytes]:
        return Counter(
            {
                value: number
                for value, number in counter.items()
                if b'"kind":"passed"' not in value and not is_command(value)
            }
        )

    one, other = told(expected), told(written)
    return (one - other).total(), (other - one).total()


def _correlate_again(system: MemorySystem, settings: Settings, written: list) -> None:
    """Judge the signals in the order in which they were written: a late command counts where it stands."""
    topics = Topics.of(settings)
    for topic, partition in list(system.log.partitions):
        if topic not in {raw.name for raw in topics.raw.values()} | {
            topics.located.name,
            topics.dead_letters.name,
        }:
            system.log.partitions[topic, partition].clear()
    for number in range(topics.signals.partitions):
        correlating = Correlating(number, topics, {}, history_hours=settings.history_hours)
        own = [record for record in written if record.partition == number]
        for start in range(0, len(own), CHUNK):
            out = correlating.run(own[start : start + CHUNK], system.configurations)
            system.log.apply(out.effects)


def _came(system: MemorySystem, topics: Topics, settings: Settings, agencies: list[str]) -> Came:
    names = [topics.alert_changes, topics.alerts, topics.incidents, topics.audit]
    names += [topics.agency(agency) for agency in agencies]
    correlated: dict[tuple[str, int], Partition] = {}
    for topic in names:
        for number in range(topic.partitions):
            records = system.log.partitions[topic.name, number]
            if records:
                name = topic.name.removeprefix(settings.topic_prefix)
                correlated[name, number] = [(record.key, record.value) for record in records]
    letters = [
        json.loads(record.value or b"") for record in system.log.partitions[topics.dead_letters.name, 0]
    ]
    return Came(
        correlated=correlated,
        located=Counter(record.value or b"" for record in system.log.records_of(topics.located.name)),
        dead=Counter(
            (letter["topic"].removeprefix(settings.topic_prefix), letter["reason"]) for letter in letters
        ),
    )

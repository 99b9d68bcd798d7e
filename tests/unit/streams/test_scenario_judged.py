"""The whole path in memory: the scenario's own list comes out, whatever the chunks and however they interleave."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from alerts.agencies.messages import AgencyAlert, Heartbeat
from alerts.storms.rates import FLOOD, is_alarm
from geo.cache import load_registry
from ioc.settings import Settings, load_settings
from streams.configuration import Configuration, local_record
from streams.offline import MemorySystem, Result, judge
from streams.recording import first_and_last_clock
from streams.replay import Tape, Transactions
from streams.schemas import CLOCK_KEY
from streams.shelf import Shelf
from streams.topics import Topics
from tests.planned import (
    FILES,
    SCENARIO,
    as_planned,
    expected,
    incidents_as_planned,
    messages_as_planned,
    planned,
    planned_incidents,
    planned_messages,
)

Raw = list[tuple[str, int, bytes | None, bytes | None]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(**FILES, topic_prefix="")


@pytest.fixture(scope="module")
def configuration(settings: Settings) -> Configuration:
    registry = load_registry(None, settings.provinces, settings.cache_dir)
    return Configuration.of(
        local_record(settings, registry),
        Shelf(settings).atlas(registry),
        rules_name="rules",
        inventory_name="inventory",
    )


@pytest.fixture(scope="module")
def raw(settings: Settings, configuration: Configuration) -> Raw:
    """The recording's records as the replayer publishes them."""
    recording = SCENARIO / "scenario.ndjson.gz"
    tape = Tape(recording, "r", *first_and_last_clock(recording), loop=False)
    clocks = [
        (topic.name, number)
        for topic in Topics.of(settings).raw.values()
        for number in range(settings.raw_partitions)
    ]
    transactions = Transactions(settings, clocks, lambda: configuration.hash)
    return [record for step in tape.steps(tape.start(None)) for record in transactions.of([step]).records]


def outcome(result: Result) -> list[bytes]:
    """All that came of a day, for comparing; what an alert or incident comes to, in its own order."""
    told = [message for message in result.messages if isinstance(message, AgencyAlert)]
    return [msgspec.json.encode(one) for one in (*result.changes, *result.incidents, *told)]


def run(settings: Settings, configuration: Configuration, raw: Raw, **options: object) -> Result:
    return judge(settings, configuration, raw, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def evening(raw: Raw) -> Raw:
    """The records from 17:00 to 21:00, with most of the alerts."""

    def clock(moment: bytes) -> int:
        return next(
            n for n, (*_, key, value) in enumerate(raw) if key == CLOCK_KEY and moment in (value or b"")
        )

    return raw[clock(b"T17:00:00") : clock(b"T21:00:00")]


@pytest.fixture(scope="module")
def plain(settings: Settings, configuration: Configuration, raw: Raw) -> Result:
    return run(settings, configuration, raw)


@pytest.fixture(scope="module")
def plain_evening(settings: Settings, configuration: Configuration, evening: Raw) -> Result:
    result = run(settings, configuration, evening)
    assert len(result.changes) > 50, "the evening has too few changes to prove anything"
    return result


def test_the_alerts_are_those_on_the_scenarios_list(plain: Result) -> None:
    """Rule, subject, communes, and each change with severity, certainty, reason and moment: as planned.

    So are the counts of what happens to events.
    """
    assert as_planned(plain.changes) == planned()
    counts = expected()["counts"]
    assert plain.events == Counter(counts["events"])
    assert plain.located == Counter(counts["located"])
    assert plain.dead == Counter(counts["dead"])
    assert plain.unjudged == Counter(counts["unjudged"])


def test_the_incidents_are_those_on_the_list(plain: Result) -> None:
    """Members, communes, high waters and state of each incident at the end of the day."""
    assert incidents_as_planned(plain.incidents) == planned_incidents()


def test_agencies_are_told_what_is_on_the_list(plain: Result) -> None:
    """Each agency gets its messages and no others, in exercise only; and a heartbeat with each minute that passes."""
    assert messages_as_planned(plain.messages) == planned_messages()
    told = [message for message in plain.messages if isinstance(message, AgencyAlert)]
    assert {message.status for message in told} == {"exercise"}
    beats = Counter(message.agency for message in plain.messages if isinstance(message, Heartbeat))
    assert beats == dict.fromkeys(planned_messages(), 24 * 60 - 1)


def test_doubted_readings_are_those_on_the_list(
    settings: Settings, configuration: Configuration, raw: Raw
) -> None:
    """Spikes, values out of range, a hanging float and another zero: as many as planned, and no reading else."""
    system = MemorySystem(settings, [configuration])
    for record in raw:
        if record[0] == system.topics.raw["flood"].name:
            system.log.append(*record)
    system.run()
    located = system.topics.located
    events = (
        json.loads(record.value or b"{}")
        for partition in range(located.partitions)
        for record in system.log.read(located.name, partition, 0, 100_000)
    )
    doubts = Counter(
        doubt for event in events for found in event.get("doubts", {}).values() for doubt in found
    )
    assert doubts == expected()["doubts"]


def test_the_alarm_rate_is_one_to_live_with(plain: Result) -> None:
    """Over the day an operator has fewer alarms than can be managed, and never a flood of them.

    More than 12 in an hour come while the evening's tide and rush hour meet.
    """
    alarms = sorted(alert.time for alert in plain.changes if is_alarm(alert))
    worst = max(sum(t <= other < t + timedelta(minutes=10) for other in alarms) for t in alarms)
    assert len(alarms) / 24 < 6
    assert worst <= FLOOD


@pytest.mark.parametrize("chunk_records", [pytest.param(1, marks=pytest.mark.long), 7, 311, 100_000])
def test_chunk_size_makes_no_difference(
    settings: Settings, configuration: Configuration, evening: Raw, plain_evening: Result, chunk_records: int
) -> None:
    """No result depends on where a chunk ends."""
    again = run(settings, configuration, evening, chunk_records=chunk_records)
    assert outcome(again) == outcome(plain_evening)


@pytest.mark.parametrize("seed", range(3))
def test_interleaving_and_restarts_make_no_difference(
    settings: Settings, configuration: Configuration, evening: Raw, plain_evening: Result, seed: int
) -> None:
    """Partitions take turns at random, chunks have random sizes, and state is restored in between."""
    again = run(
        settings, configuration, evening, chunk_records=600, shuffle=random.Random(seed), restore_share=0.05
    )
    assert outcome(again) == outcome(plain_evening)
    assert again.located == plain_evening.located
    assert again.dead == plain_evening.dead

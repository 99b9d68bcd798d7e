"""The record that the wall is restored from: complete, bounded, and the same however the log is cut."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from alerts.alert import Alert
from alerts.model import Where
from alerts.signals import Passed, Signal
from ioc.settings import load_settings
from streams.correlating import Correlating
from streams.offline import MemoryLog, MemoryRecord
from streams.picturing import FRAME_ALERTS_MAX, FRAME_PREFIX, REPORTS_KEPT, Frame, decode_frame, frame_key
from streams.topics import STREAMS, Topics
from tests.sensekit import Partition, configuration, source

SOURCES = [f"{stream}/{number}" for stream in STREAMS for number in range(4)]
START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")


def picture(partition: Partition) -> dict[str, dict]:
    """The latest of each key in the picture."""
    latest = partition.log.state(partition.topics.picture.name, partition.number)
    return {key.decode(): json.loads(value) for key, value in latest.items()}


def written(partition: Partition) -> list[tuple[str, dict | None]]:
    return [
        ((record.key or b"").decode(), json.loads(record.value) if record.value else None)
        for record in partition.log.partitions[partition.topics.picture.name, partition.number]
    ]


# What sense writes


def test_a_source_is_written_at_once_and_then_once_in_ten_seconds() -> None:
    """The first event is there with its chunk; of those that follow the last, when the ten seconds end."""
    one = Partition(configuration("A", []))
    one.run(one.clock(0), one.event(0, level_m=1.0))
    assert picture(one)["source|flood|gauge"]["level_m"] == 1.0
    second = 1 / 60
    one.run(*(one.event(n * second, level_m=1.0 + n) for n in range(1, 9)))
    one.run(one.clock(9 * second))
    assert picture(one)["source|flood|gauge"]["level_m"] == 1.0
    one.run(one.clock(10 * second))
    assert picture(one)["source|flood|gauge"]["level_m"] == 9.0
    one.run(one.event(11 * second, level_m=11.0), one.clock(19 * second))
    assert picture(one)["source|flood|gauge"]["level_m"] == 9.0, "these ten seconds have theirs"
    one.run(one.clock(20 * second))
    assert picture(one)["source|flood|gauge"]["level_m"] == 11.0
    assert len(written(one)) == 3


def test_what_is_written_is_what_is_located() -> None:
    """The record is the one of ioc.located, letter by letter: the wall needs no other way to read it."""
    one = Partition(configuration("A", [], [source("gauge")]))
    one.run(one.clock(0), one.event(0, level_m=1.0))
    assert [value for _, value in written(one)] == one.located()


def test_late_and_repeated_events_do_not_replace_newer_ones() -> None:
    one = Partition(configuration("A", []))
    one.run(
        one.clock(200), one.event(199, level_m=1.0), one.event(198, level_m=0.5), one.event(199, level_m=0.4)
    )
    one.run(one.clock(201), one.event(100, level_m=0.3), one.clock(202))
    assert picture(one)["source|flood|gauge"]["level_m"] == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_chunks_and_restarts_make_no_difference_to_sources(seed: int) -> None:
    """Whatever the chunks, also after crashes: each key gets the same records in the same order."""
    chance = random.Random(seed)

    def records(one: Partition) -> list[MemoryRecord]:
        draw, found, second = random.Random(seed), [], 0.0
        for _ in range(400):
            second += draw.choice([0, 0, 0.4, 1, 7])
            if draw.random() < 0.3:
                found.append(one.clock(second / 60))
            else:
                found.append(one.event(second / 60, draw.choice("abcde"), level_m=round(draw.random(), 3)))
        return [*found, one.clock(second / 60 + 1)]

    def by_key(one: Partition) -> dict[str, list]:
        found = defaultdict(list)
        for key, value in written(one):
            found[key].append(value)
        return found

    whole, pieces = Partition(configuration("A", [])), Partition(configuration("A", []))
    for one in (whole, pieces):
        one.run(one.clock(0))
    whole.run(*records(whole))
    pieces.run_in_pieces(records(pieces), chance)
    assert by_key(whole) == by_key(pieces)
    assert sum(map(len, by_key(whole).values())) > 50
    latest = {}
    for event in sorted(whole.located(), key=lambda event: event["time"]):
        latest[f"source|flood|{event['source']}"] = datetime.fromisoformat(event["time"])
    told = {key: datetime.fromisoformat(event["time"]) for key, event in picture(whole).items()}
    assert told == latest, "in the end the latest of each is there"


def test_reports_are_kept_in_a_ring() -> None:
    """Each report for itself, the oldest making room for the newest, also across a restart."""
    one = Partition(configuration("A", []), stream="report")
    events = [
        one.event(n / 1000, "app", category="flood", text=str(n), lon=105.5, lat=10.5)
        for n in range(REPORTS_KEPT + 20)
    ]
    one.run(one.clock(0))
    one.run_in_pieces(events, random.Random(1))
    texts = sorted(int(event["text"]) for event in picture(one).values())
    assert texts == list(range(20, REPORTS_KEPT + 20))


def test_a_source_that_is_gone_leaves_the_picture() -> None:
    """With the configuration that removes a fixed source its record goes too."""
    with_it, without = configuration("A", [], [source("gauge")]), configuration("B", [])
    one = Partition(with_it, without)
    one.run(
        one.clock(0), one.event(0, level_m=1.0), one.event(0, "passer-by", level_m=1.0, lon=105.5, lat=10.5)
    )
    one.run(one.clock(1, "B"))
    assert set(picture(one)) == {"source|flood|passer-by"}


# What correlate writes


@pytest.fixture
def topics() -> Topics:
    return Topics.of(load_settings(topic_prefix=""))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def signal(
    minute: float, severity: str | None, subject: str, number: int = 1, commune: str = "31120"
) -> Signal:
    return Signal(
        rule="water",
        rule_version="v1",
        subject=subject,
        change="ended" if severity is None else "began",
        severity=severity,  # type: ignore[arg-type]
        hazard="flood",
        title={"vi": "Nước", "en": "Water"},
        measure="level_m",
        unit="m",
        time=at(minute),
        order=at(minute),
        number=number,
        start_event="e0",
        start_time=at(minute),
        value=1.0,
        observed=at(minute),
        event=f"e{minute}",
        bound=0.5,
        where=Where(commune=commune, province="92"),
    )


def passed(minute: float) -> list[Passed]:
    return [Passed(source=source, time=at(minute), config="c") for source in SOURCES]


def records(*messages: Signal | Passed) -> list[MemoryRecord]:
    return [MemoryRecord(b"92", msgspec.json.encode(message), n) for n, message in enumerate(messages)]


def frames(log: MemoryLog, topics: Topics) -> list[Frame]:
    """Every frame that was written, in the log's order."""
    return [
        decode_frame(record.value or b"")
        for record in log.partitions[topics.picture.name, 0]
        if (record.key or b"").startswith(FRAME_PREFIX)
    ]


def busy_hour() -> list[Signal | Passed]:
    chance, found = random.Random(3), list[Signal | Passed]()
    standing: dict[str, bool] = {}
    for step in range(240):
        minute = step / 4
        subject = f"s{chance.randint(1, 9)}"
        standing[subject] = not standing.get(subject, False)
        severity = chance.choice(["minor", "moderate", "severe"]) if standing[subject] else None
        found.append(signal(minute, severity, subject, step, commune=f"3112{subject[1:]}"))
        if chance.random() < 0.5:
            found += passed(minute)
    return found + passed(61)


def in_pieces(messages: list[Signal | Passed], topics: Topics, seed: int) -> MemoryLog:
    chance, log, rest = random.Random(seed), MemoryLog(), records(*messages)
    while rest:
        size = chance.randint(1, 60)
        correlating = Correlating(0, topics, log.state(topics.signals_state.name, 0))
        log.apply(correlating.run(rest[:size], {}).effects)
        rest = rest[size:]
    return log


def test_a_frame_is_the_alerts_at_its_minute(topics: Topics) -> None:
    """Each whole minute has one, with exactly the alerts open then, by their record in ioc.alert-changes."""
    log = MemoryLog()
    out = Correlating(0, topics, {}).run(records(*busy_hour()), {})
    log.apply(out.effects)
    found = frames(log, topics)
    assert [frame.time for frame in found] == [at(minute) for minute in range(1, 62)]
    for frame in found:
        latest: dict[str, Alert] = {}
        for alert, _ in out.changes:
            if alert.time < frame.time:
                latest[alert.id] = alert
        opened = {alert.id: alert for alert in latest.values() if alert.open}
        assert {(row.id, row.sequence, row.severity) for row in frame.alerts} == {
            (alert.id, alert.sequence, alert.severity) for alert in opened.values()
        }
        assert sum(frame.counts.values()) == len(opened)
        assert set(frame.communes) == {alert.where.commune for alert in opened.values()}
    assert max(len(frame.alerts) for frame in found) > 3


@pytest.mark.parametrize("seed", range(5))
def test_chunks_and_restarts_make_no_difference_to_frames(topics: Topics, seed: int) -> None:
    messages = busy_hour()
    log = MemoryLog()
    log.apply(Correlating(0, topics, {}).run(records(*messages), {}).effects)
    assert frames(in_pieces(messages, topics, seed), topics) == frames(log, topics)


def test_frames_are_kept_in_a_ring(topics: Topics) -> None:
    """Compaction bounds them: a key for each minute of the hours that are kept, the newest frame under it."""
    log, hours = MemoryLog(), 2
    correlating = Correlating(0, topics, {}, history_hours=hours)
    for minute in range(0, 300, 7):
        messages = [signal(0.5, "minor", "s1")] if not minute else []
        log.apply(correlating.run(records(*messages, *passed(minute + 7)), {}).effects)
    latest = [decode_frame(value) for value in log.state(topics.picture.name, 0).values()]
    times = sorted(frame.time for frame in latest)
    assert len(times) == hours * 60
    assert {b - a for a, b in pairwise(times)} == {timedelta(minutes=1)}
    assert times[-1] == at(301)


def test_a_long_pause_writes_no_more_frames_than_are_kept(topics: Topics) -> None:
    correlating = Correlating(0, topics, {}, history_hours=1)
    correlating.run(records(signal(0.5, "minor", "s1"), *passed(1)), {})
    log = MemoryLog()
    log.apply(correlating.run(records(*passed(60 * 24 * 30)), {}).effects)
    assert len(frames(log, topics)) == 60


def test_a_storm_does_not_make_a_frame_without_bound(topics: Topics) -> None:
    """Alerts beyond the bound are counted, the worst are named."""
    many = FRAME_ALERTS_MAX + 30
    storm = [signal(0.5, "severe" if n < 5 else "minor", f"s{n}", commune=f"{n}") for n in range(many)]
    log = MemoryLog()
    log.apply(Correlating(0, topics, {}).run(records(*storm, *passed(2)), {}).effects)
    last = frames(log, topics)[-1]
    assert len(last.alerts) == FRAME_ALERTS_MAX
    assert last.unnamed == 30
    assert [row.severity for row in last.alerts[:6]] == ["severe"] * 5 + ["minor"]
    assert last.counts == {"severe": 5, "minor": many - 5}
    assert last.alarms_10m == many


def test_the_key_of_a_frame_returns_with_the_ring(topics: Topics) -> None:
    frame = Frame(time=at(0), province="92")
    again = Frame(time=at(0) + timedelta(hours=48), province="92")
    assert frame_key(frame, 48) == frame_key(again, 48) != frame_key(Frame(time=at(1), province="92"), 48)

"""A recording gives the alert changes of the log that it was made from: judged in memory, and replayed."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from alerts.alert import Alert
from alerts.rules.kinds import CountRule, FusionRule
from ioc.settings import Settings, load_settings
from streams.configuration import Configuration, local_record, with_maps
from streams.cuts import Merge
from streams.offline import MemoryRecord, as_json, judge
from streams.recorder import Encoder, Writer, take
from streams.recording import first_and_last_clock
from streams.rehearsal import RawRecord, raw_records
from streams.replay import Tape, Transactions
from streams.schemas import CLOCK_KEY
from streams.shelf import Shelf, installed_registry
from streams.topics import Topics
from tests.planned import SCENARIO

EVENING = (b"T17:00:00", b"T18:10:00")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(inventory_file=SCENARIO / "inventory.yaml", topic_prefix="")


@pytest.fixture(scope="module")
def configuration(settings: Settings) -> Configuration:
    record = local_record(settings, installed_registry(settings))
    return with_maps(record, Shelf(settings), rules_name="rules", inventory_name="inventory")


def published(settings: Settings, recording: Path, config: str) -> list[RawRecord]:
    """The records of a recording as the replayer publishes them under the run r."""
    tape = Tape(recording, "r", *first_and_last_clock(recording), loop=False)
    clocks = [(t.name, n) for t in Topics.of(settings).raw.values() for n in range(settings.raw_partitions)]
    transactions = Transactions(settings, clocks, lambda: config)
    steps = tape.steps(tape.start(None))
    return [record for step in steps for record in transactions.of([step]).records]


@pytest.fixture(scope="module")
def evening(settings: Settings, configuration: Configuration) -> list[RawRecord]:
    raw = published(settings, SCENARIO / "scenario.ndjson.gz", configuration.hash)
    first, last = (
        next(n for n, (*_, key, value) in enumerate(raw) if key == CLOCK_KEY and moment in (value or b""))
        for moment in EVENING
    )
    # To the last partition's clock record of the last moment.
    return raw[first : last + 4 * settings.raw_partitions]


def record_in_memory(settings: Settings, raw: list[RawRecord], path: Path, chance: random.Random) -> None:
    """Record a log in memory whose partitions are read in pieces of random sizes."""
    partitions: dict[tuple[str, int], list[MemoryRecord]] = defaultdict(list)
    for topic, number, key, value in raw:
        partitions[topic, number].append(
            MemoryRecord(key, value, len(partitions[topic, number]), 1_760_000_000_000)
        )
    streams = {topic.name: stream for stream, topic in Topics.of(settings).raw.items()}
    encoders = {name: Encoder(streams[name[0]], *name) for name in partitions}
    merge = Merge({name: encoder.stream for name, encoder in encoders.items()})
    with path.open("wb") as file:
        writer = Writer(file)
        while True:
            for step in merge.steps():
                writer.write(step)
            lacking = merge.lacking()
            if any(not partitions[name] for name in lacking):
                break
            for name in lacking:
                size = chance.randint(1, 500)
                take(merge, name, encoders[name], partitions[name][:size])
                del partitions[name][:size]
        writer.end()


@pytest.mark.parametrize("damaged", [0.0, 0.3])
def test_the_recordings_alert_changes_are_the_logs(
    settings: Settings, configuration: Configuration, evening: list[RawRecord], tmp_path: Path, damaged: float
) -> None:
    """Changes, events, dead letters and places are equal; also where each partition lacks other
    clock records."""
    chance = random.Random(7)
    inner = range(100, len(evening) - 100)
    raw = [
        (*record[:3], b"{") if n in inner and record[2] == CLOCK_KEY and chance.random() < damaged else record
        for n, record in enumerate(evening)
    ]
    path = tmp_path / "evening.ndjson.gz"
    record_in_memory(settings, raw, path, chance)
    of_log = judge(settings, configuration, raw)
    assert len(of_log.changes) > 20, "the evening has too few changes to prove anything"
    of_recording = judge(settings, configuration, raw_records(settings, path, configuration.hash))
    assert as_json(of_recording.changes) == as_json(of_log.changes)
    assert of_recording.located == of_log.located
    assert of_recording.unjudged == of_log.unjudged


def test_a_replayed_recording_gives_the_same_alert_changes(
    settings: Settings, configuration: Configuration, evening: list[RawRecord], tmp_path: Path
) -> None:
    """As the replayer publishes it, under the run that it was recorded from."""
    path = tmp_path / "evening.ndjson.gz"
    record_in_memory(settings, evening, path, random.Random(1))
    again = judge(settings, configuration, published(settings, path, configuration.hash))
    assert as_json(again.changes) == as_json(judge(settings, configuration, evening).changes)


def test_judging_piece_by_piece_makes_no_difference(
    settings: Settings,
    configuration: Configuration,
    evening: list[RawRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is judged from a long recording is dropped as it goes: the changes stay the same."""
    whole = judge(settings, configuration, evening)
    monkeypatch.setattr("streams.offline.HELD_RECORDS", 777)
    pieces = judge(settings, configuration, evening)
    assert as_json(pieces.changes) == as_json(whole.changes)
    assert (pieces.located, pieces.dead, pieces.unjudged) == (whole.located, whole.dead, whole.unjudged)


def test_what_is_told_is_the_same_after_it_was_stored(
    settings: Settings, configuration: Configuration, evening: list[RawRecord]
) -> None:
    """A change that went through the log is written again to the byte: else a restart would show in the alerts, as
    it did where a fusion counted its inputs in whole numbers that came back as fractions."""
    changes = judge(settings, configuration, evening).changes
    about_many = {rule.id for rule in configuration.rules if isinstance(rule, CountRule | FusionRule)}
    assert about_many & {alert.rule for alert in changes}, "no alert of many sources: nothing is proven"
    stored = [msgspec.json.decode(change, type=Alert) for change in as_json(changes)]
    assert as_json(stored) == as_json(changes)

"""The whole path in memory: the scenario's own list comes out, whatever the chunks and however they interleave."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from geo.cache import load_registry
from ioc.settings import Settings, load_settings
from streams.configuration import Configuration, local_record
from streams.offline import Result, as_json, judge
from streams.recording import first_and_last_clock
from streams.replay import Tape, Transactions
from streams.schemas import CLOCK_KEY
from streams.shelf import Shelf
from streams.topics import Topics
from tests.planned import SCENARIO, as_planned, planned

Raw = list[tuple[str, int, bytes | None, bytes | None]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(inventory_file=SCENARIO / "inventory.yaml", topic_prefix="")


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
    """Rule, subject, commune, and each change with severity and moment: as planned when the day was made."""
    alerts, counts = planned()
    assert as_planned(plain.changes) == alerts
    assert plain.events == Counter(counts["events"])
    assert plain.located == Counter(counts["located"])
    assert plain.dead == Counter(counts["dead"])
    assert plain.unjudged == Counter(counts["unjudged"])


@pytest.mark.parametrize("chunk_records", [pytest.param(1, marks=pytest.mark.long), 7, 311, 100_000])
def test_chunk_size_makes_no_difference(
    settings: Settings, configuration: Configuration, evening: Raw, plain_evening: Result, chunk_records: int
) -> None:
    """No result depends on where a chunk ends."""
    again = run(settings, configuration, evening, chunk_records=chunk_records)
    assert as_json(again.changes) == as_json(plain_evening.changes)


@pytest.mark.parametrize("seed", range(3))
def test_interleaving_and_restarts_make_no_difference(
    settings: Settings, configuration: Configuration, evening: Raw, plain_evening: Result, seed: int
) -> None:
    """Partitions take turns at random, chunks have random sizes, and state is restored in between."""
    again = run(
        settings, configuration, evening, chunk_records=600, shuffle=random.Random(seed), restore_share=0.05
    )
    assert as_json(again.changes) == as_json(plain_evening.changes)
    assert again.located == plain_evening.located
    assert again.dead == plain_evening.dead

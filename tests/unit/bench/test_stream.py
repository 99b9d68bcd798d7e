"""The parts of `make bench` that need no broker: the city's events, what samples come to, the report."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from geo.cache import present_set
from geo.locate import Locator
from ioc.settings import load_settings
from streams.schemas import CLOCK_KEY, EVENTS, Clock
from streams.topics import STREAMS, partition_of
from tests.bench.stream.__main__ import arguments
from tests.bench.stream.events import City, Raw, steps
from tests.bench.stream.measure import Sample, summary
from tests.bench.stream.profiles import shares
from tests.bench.stream.report import write

CITY = City(sources=400, partitions=3)
STEPS = 5


@pytest.fixture(scope="module")
def records() -> list[list[Raw]]:
    settings = load_settings()
    return list(islice(steps(CITY, present_set(settings.provinces, settings.cache_dir), "abc"), STEPS))


def test_a_step_is_a_clock_in_each_partition_and_an_event_of_each_source(records: list[list[Raw]]) -> None:
    """Clock records come first, in every raw partition; no event is before its step's or after the next one's."""
    clocks: list[Clock] = []
    for step in records:
        first = step[: len(STREAMS) * CITY.partitions]
        assert {(stream, number) for stream, number, *_ in first} == {
            (stream, number) for stream in STREAMS for number in range(CITY.partitions)
        }
        assert all(key == CLOCK_KEY for *_, key, _ in first)
        clocks.append(msgspec.json.decode(first[0][3], type=Clock))
        events = step[len(first) :]
        assert len({key for *_, key, _ in events}) == len(events) == CITY.sources
        for stream, partition, key, value in events:
            event = msgspec.json.decode(value, type=EVENTS[stream])
            assert partition == partition_of(key, CITY.partitions)
            assert event.source.encode() == key
            assert clocks[-1].clock <= event.time < clocks[-1].clock + CITY.step
    assert {after.clock - before.clock for before, after in pairwise(clocks)} == {CITY.step}


def test_a_city_is_the_same_each_time(records: list[list[Raw]]) -> None:
    """The log follows from the seed alone."""
    settings = load_settings()
    boundaries = present_set(settings.provinces, settings.cache_dir)
    assert list(islice(steps(CITY, boundaries, "abc"), STEPS)) == records
    other = City(sources=CITY.sources, partitions=CITY.partitions, seed=CITY.seed + 1)
    assert next(steps(other, boundaries, "abc")) != records[0]


def test_events_are_as_large_as_real_ones_and_most_lie_in_a_commune(records: list[list[Raw]]) -> None:
    """About 250 bytes, in four streams, a few of them outside every commune."""
    settings = load_settings()
    events = [record for record in records[0] if record[2] != CLOCK_KEY]
    assert 220 < np.mean([len(value) for *_, value in events]) < 280
    assert set(Counter(stream for stream, *_ in events)) == set(STREAMS)
    locator = Locator(present_set(settings.provinces, settings.cache_dir))
    places = [msgspec.json.decode(value) for *_, value in events]
    found = locator.locate_many(
        np.array([one["lon"] for one in places]), np.array([one["lat"] for one in places])
    )
    assert 0 < (found < 0).sum() < 0.02 * len(events)


def test_what_a_contender_does_before_it_is_warm_does_not_count() -> None:
    """Rate and processor time are those between the warm-up's end and the last look."""
    slow = [Sample(time / 2, 10 * time, 0.5 * time, 0.1 * time) for time in range(7)]
    quick = [Sample(3 + time, 60 + 1000 * time, 3 + 0.5 * time, 0.6) for time in range(1, 11)]
    one = summary("x", slow + quick, 10_060, 12.0)
    assert one.events_per_s == pytest.approx(1000)
    assert one.cpu_us == pytest.approx(500)
    assert one.broker_us == pytest.approx(0)
    assert one.finished


def test_the_report_shows_what_was_measured(tmp_path: Path) -> None:
    """Each part has its table and a picture that is XML; a part that was not measured has none."""
    row = {
        "events_per_s": 12_000,
        "least": 11_000,
        "greatest": 13_000,
        "cpu_us": 9.0,
        "broker_us": 4.0,
        "rss_mb": 200,
    }
    size = {"events_per_s": 9_000.0, "cpu_us": 8.0, "rss_mb": 180.0}
    result = {
        "machine": {
            "date": "2026-01-01",
            "processor": "x",
            "processors": 2,
            "python": "3.11",
            "load_before": 0.1,
        },
        "medians": {"product": row, "faust": {**row, "events_per_s": 400}},
        "ratio_faust": 30.0,
        "shapes": {"sources": [{"size": 10, **size}, {"size": 100_000, **size}]},
    }
    text = write(result, tmp_path).read_text()
    assert "| ioc sense | 12,000 | 11,000 to 13,000 |" in text
    assert text.index("ioc sense") < text.index("Faust as documented")
    assert "- ratio_faust: 30.0" in text
    assert "| 100,000 | 9,000 |" in text
    assert "Recovery" not in text
    for name in ("contenders", "sources"):
        assert f"({name}.svg)" in text
        assert ET.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_a_function_has_its_own_share_and_that_with_what_it_called() -> None:
    """Lines of one function count together; a function that calls itself counts once for a sample."""
    found = shares("main (a.py:1);work (a.py:5) 6\nmain (a.py:2);work (a.py:9);work (a.py:5);c (b.py:1) 2\n")
    assert found["samples"] == 8
    assert found["functions"] == [("work (a.py)", 0.75, 1.0), ("c (b.py)", 0.25, 0.25)]


@pytest.mark.parametrize(
    ("given", "there"), [("--only=product,x", "bytewax"), ("--only=", "bytewax"), ("--parts=x", "profile")]
)
def test_a_name_that_is_not_known_is_told_with_those_that_are(
    given: str, there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown contender was once a KeyError, after the broker had been started."""
    with pytest.raises(SystemExit, match="2"):
        arguments([given])
    told = capsys.readouterr().err
    assert "there is no" in told
    assert there in told


def test_without_names_all_is_measured() -> None:
    """What is quick measures rates alone, of all contenders or of those that are named."""
    assert arguments([]).parts == ["rates", "delay", "shape", "profile"]
    quick = arguments(["--quick", "--only=product,faust"])
    assert (quick.parts, quick.only) == (["rates"], ["product", "faust"])
    assert {"product", "faust", "quix", "bytewax", "ceiling", "bare"} == set(arguments([]).only)

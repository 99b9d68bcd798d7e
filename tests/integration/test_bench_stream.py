"""`make bench` on a short log: every contender comes to the same, and what is measured of it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.bench.stream import results
from tests.bench.stream.contenders import CONTENDERS
from tests.bench.stream.events import City
from tests.bench.stream.ground import Ground, Log
from tests.bench.stream.measure import measure, running
from tests.conftest import Kafka

CITY = City(sources=300, seed=3)
EVENTS = 3_000


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(kafka.broker, kafka.base, tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def log(place: Ground) -> Iterator[Log]:
    log = place.preload("bench-short.", CITY, EVENTS)
    yield log
    place.forget("bench-short.")


def _results(place: Ground, log: Log, name: str) -> tuple[dict, dict]:
    with running(CONTENDERS[name], place, log, f"bench-{name}.") as run:
        results.finish(run)
        run.stop()
        return results.located(place, log, run.prefix), results.signals(place, log, run.prefix)


@pytest.fixture(scope="module")
def expected(place: Ground, log: Log) -> tuple[dict, dict]:
    """The product's results."""
    return _results(place, log, "product")


def test_the_product_does_the_whole_log(log: Log, expected: tuple[dict, dict]) -> None:
    """Each event is located once, inside or outside, and about one in 25 leads to a signal."""
    located, signals = expected
    assert len(located) == log.events == EVENTS
    assert 0.02 * EVENTS < len(signals) < 0.07 * EVENTS
    assert {change for *_, change in signals} >= {"began", "ended"}
    assert {event["place"]["outcome"] for _, event in located.values()} == {"inside", "outside"}


@pytest.mark.parametrize(
    "name", [name for name, one in CONTENDERS.items() if one.whole and name != "product"]
)
def test_who_does_the_whole_job_comes_to_the_same(
    place: Ground, log: Log, expected: tuple[dict, dict], name: str
) -> None:
    """The same events, located alike, and the same signals, none of them twice."""
    if CONTENDERS[name].python() is None:
        pytest.skip(f"{CONTENDERS[name].needs} is not installed; `make bench` installs it")
    found = _results(place, log, name)
    for ours, theirs in zip(expected, found, strict=True):
        assert results.differences(ours, theirs) == []


@pytest.mark.parametrize("name", ["product", "bare"])
def test_progress_is_counted_in_events(place: Ground, log: Log, name: str) -> None:
    """A run to the end of the log has done all its events and no more: clock records and markers do not count."""
    with running(CONTENDERS[name], place, log, f"bench-{name}.") as run:
        one = measure(run, 30.0)
    assert one.finished
    assert one.events <= log.events
    assert one.cpu_us > 0
    assert one.rss_mb > 20


def test_a_contender_that_fails_is_named_with_its_words(place: Ground, log: Log) -> None:
    """A process that ends is not waited for, and the error holds what it said."""
    broken = replace(CONTENDERS["bare"], arguments=("-c", "raise SystemExit('no such day')"))
    with running(broken, place, log, "bench-broken.") as run:
        run.processes[0].wait(30)
        with pytest.raises(RuntimeError, match="no such day"):
            measure(run, 5.0)

"""`make bench` on a short log: every contender comes to the same, and what is measured of it holds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.bench.stream import results
from tests.bench.stream.contenders import CONTENDERS
from tests.bench.stream.events import City
from tests.bench.stream.ground import Ground, Log
from tests.bench.stream.measure import measure, progress, running
from tests.conftest import Kafka
from tests.system import until

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


@pytest.mark.parametrize("name", ["product", "ceiling", "bare"])
def test_progress_is_counted_in_events(place: Ground, log: Log, name: str) -> None:
    """At the end of the log all its events are done and no more: clock records and markers do not count."""
    with running(CONTENDERS[name], place, log, f"bench-{name}.") as run, progress(run) as done:
        until(lambda: done() >= log.events, 90, run.tail)
        time.sleep(1.0)
        assert done() == log.events


def test_a_run_has_its_rate_its_processor_time_and_its_memory(place: Ground) -> None:
    """What is measured of the product lies in what this machine can do; the broker's time is told apart."""
    log = place.preload("bench-long.", CITY, 60_000)
    try:
        with running(CONTENDERS["product"], place, log, "") as run:
            one = measure(run, 60.0)
    finally:
        place.forget("bench-long.")
    assert one.finished
    assert 10_000 < one.events <= log.events
    assert one.events_per_s == pytest.approx(one.events / one.seconds)
    # One process has no more than its processors, and does not come by its results without any.
    processors = os.cpu_count() or 1
    assert 0.01 < one.cpu_us * one.events_per_s / 1e6 <= processors * 1.1
    assert 0.01 < one.broker_us * one.events_per_s / 1e6 <= processors * 1.1
    assert 50 < one.rss_mb < 2_000


def test_a_contender_that_fails_is_named_with_its_words(place: Ground, log: Log) -> None:
    """A process that ends is not waited for, and the error holds what it said."""
    broken = replace(CONTENDERS["bare"], arguments=("-c", "raise SystemExit('no such day')"))
    with running(broken, place, log, "bench-broken.") as run:
        run.processes[0].wait(30)
        with pytest.raises(RuntimeError, match="no such day"):
            measure(run, 5.0)

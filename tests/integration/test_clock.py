"""The live clock on a real broker: every partition, forward only, one at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from ioc.errors import UserError
from ioc.health import Health
from ioc.metrics import CLOCK_HELD
from ioc.settings import Settings
from streams.clock import Timebase, run_clock
from streams.schemas import CLOCK_KEY
from streams.topics import Topics

NOON = datetime(2025, 10, 8, 5, tzinfo=UTC)


class Wall:
    """A wall clock for the test: each look shows the next of its times, and the last one sets `stop`."""

    def __init__(self, *offsets: float) -> None:
        self.stop = threading.Event()
        self._times = iter([NOON + timedelta(seconds=offset) for offset in offsets])

    def __call__(self) -> datetime:
        time = next(self._times, None)
        if time is None:
            self.stop.set()
            return NOON - timedelta(days=1)
        return time


def run(settings: Settings, *offsets: float, **options: Any) -> None:
    wall = Wall(*offsets)
    run_clock(settings, **{"interval": 0.01, "config": "c", **options}, now=wall, stop=wall.stop)


def clocks(settings: Settings) -> list[float]:
    """Seconds after noon of the committed clock records, which must be the same in every raw partition."""
    partitions = [
        TopicPartition(t.name, n) for t in Topics.of(settings).raw.values() for n in range(t.partitions)
    ]
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    found: dict[TopicPartition, list[float]] = {tp: [] for tp in partitions}
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for tp, records in consumer.poll(timeout_ms=200).items():
                for record in records:
                    assert record.key == CLOCK_KEY
                    value = json.loads(record.value)
                    assert value["config"] == "c"
                    found[tp].append((datetime.fromisoformat(value["clock"]) - NOON).total_seconds())
    finally:
        consumer.close()
    first, *others = found.values()
    assert all(other == first for other in others)
    return first


def test_writes_to_every_partition(kafka: Any) -> None:
    """Each second's record is in every raw partition, with the time and the configuration's hash."""
    settings = kafka.settings(raw_partitions=2)
    run(settings, 0, 1, 2, 3)
    assert clocks(settings) == [0, 1, 2, 3]


def test_never_goes_back(kafka: Any) -> None:
    """While the time is not past the last record nothing is written, which is counted; so after a restart."""
    settings = kafka.settings(raw_partitions=1)
    held = CLOCK_HELD._value.get
    before = held()
    run(settings, 10, 11, 5, 6, 11, 12)
    assert clocks(settings) == [10, 11, 12]
    # The three in the middle, and the look that ends the run.
    assert held() - before == 4
    run(settings, 3, 12, 13)
    assert clocks(settings) == [10, 11, 12, 13]


def test_runs_at_a_set_speed(kafka: Any) -> None:
    """A clock that is set writes the time that it shows."""
    settings = kafka.settings(raw_partitions=1)
    timebase = Timebase(origin=NOON, start=NOON + timedelta(hours=1), speed=60)
    run(settings, 0, 1, 2, timebase=timebase)
    assert clocks(settings) == [3600, 3660, 3720]


def test_a_second_clock_ends_the_first(kafka: Any) -> None:
    """Two clocks cannot write to the same topics: the first ends with an error that says so."""
    settings = kafka.settings(raw_partitions=1)
    failure: list[UserError] = []
    ready, stop = threading.Event(), threading.Event()

    class Told(Health):
        def check(self, name: str, ok: bool, detail: str = "") -> None:
            (ready.set if ok else lambda: None)()

    def first() -> None:
        try:
            run_clock(settings, stop=stop, interval=0.05, config="c", health=Told())
        except UserError as error:
            failure.append(error)

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    assert ready.wait(20)
    offset = (datetime.now(UTC) - NOON).total_seconds() + 60
    run(settings, offset, offset + 1)
    thread.join(10)
    assert not thread.is_alive()
    assert "another clock" in failure[0].what


def test_waits_for_a_broker_that_is_away(own_settings: Callable[..., Settings]) -> None:
    """Without a broker the clock is not ready, says why, keeps trying, and still stops within two seconds."""
    settings = own_settings()
    told: list[tuple[str, bool, str]] = []
    heard, stop = threading.Event(), threading.Event()

    class Told(Health):
        def check(self, name: str, ok: bool, detail: str = "") -> None:
            told.append((name, ok, detail))
            heard.set()

    thread = threading.Thread(
        target=run_clock,
        args=(settings,),
        kwargs={"stop": stop, "health": Told()},
        daemon=True,
    )
    thread.start()
    assert heard.wait(30)
    assert told[0][:2] == ("clock", False)
    assert "does not answer" in told[0][2]
    stop.set()
    thread.join(2.0)
    assert not thread.is_alive()

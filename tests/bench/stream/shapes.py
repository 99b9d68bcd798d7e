"""How the product's cost grows: partitions, processes, sources, boundaries; memory, recovery, and a day's replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from kafka.admin import KafkaAdminClient

from geo.units import load_units
from tests.bench.stream.contenders import CONTENDERS
from tests.bench.stream.events import City
from tests.bench.stream.ground import Ground, Log
from tests.bench.stream.measure import Measurement, committed, measure, running

#: Raw partitions, of all four streams together.
PARTITIONS = (4, 16, 64)
PROCESSES = (1, 2, 4)
SOURCES = (10, 100, 1_000, 10_000, 100_000)
PROVINCES = (1, 5, 34)
#: A day of 10,000 sources with an event each ten seconds.
DAY_EVENTS = 86_400_000
DAY_STEP = timedelta(seconds=10)

PRODUCT = CONTENDERS["product"]
Say = Callable[[str], None]


def shapes(place: Ground, events: int, seconds: float, replayed: int, say: Say) -> dict[str, Any]:
    """Everything, each point once. `events` is the length of a log, `replayed` that of the day's part."""
    base = City()
    found: dict[str, Any] = {"partitions": [], "processes": [], "sources": [], "provinces": []}

    def point(kind: str, size: int, city: City, processes: int = 1, **settings: object) -> None:
        log = place.preload("shape.", city, events, **settings)
        try:
            one = _measured(place, log, seconds, processes)
        finally:
            place.forget("shape.")
        found[kind].append({"size": size, **asdict(one)})
        say(
            f"{kind} {size}: {one.events_per_s:,.0f} events/s, {one.cpu_us:.1f} µs an event, {one.rss_mb:.0f} MB"
        )

    for partitions in PARTITIONS:
        point("partitions", partitions, City(partitions=partitions // 4))
    for processes in PROCESSES:
        point("processes", processes, base, processes)
    for sources in SOURCES:
        point("sources", sources, City(sources=sources))
    codes = sorted({commune.province for commune in load_units().communes})
    for provinces in PROVINCES:
        chosen = ["92", *(code for code in codes if code != "92")][:provinces]
        point("provinces", provinces, base, provinces=sorted(chosen))
    found["recovery"] = recovery(place, say)
    found["replay"] = replay(place, replayed, say)
    return found


def _measured(place: Ground, log: Log, seconds: float, processes: int = 1) -> Measurement:
    with running(PRODUCT, place, log, "", processes) as run:
        return measure(run, seconds)


def recovery(place: Ground, say: Say, sources: int = 100_000) -> dict[str, Any]:
    """Memory with so many sources, and how long a worker takes until it works on all partitions with their state.

    The same without any state is told beside it, both from the start of the process.
    """
    log = place.preload("recovery.", City(sources=sources), 4 * sources)
    group = f"{log.settings.topic_prefix}{PRODUCT.group}"
    admin = KafkaAdminClient(bootstrap_servers=place.broker.address, client_id="bench-recovery")

    def all_past(offsets: dict[tuple[str, int], int]) -> Callable[[], bool]:
        """Whether every partition has got past an offset, or to its end."""

        def past() -> bool:
            now = committed(admin, group)
            return all(now.get(tp, 0) > min(offsets.get(tp, 0), end - 1) for tp, end in log.ends.items())

        return past

    try:
        with running(PRODUCT, place, log, "") as run:
            fresh = _until(run.require_alive, all_past({})) - run.started
            # By the half of its log every source of a partition has said something.
            _until(run.require_alive, all_past({tp: end // 2 for tp, end in log.ends.items()}))
            run.stop()
            before, run.processes = committed(admin, group), []
            run.start()
            again = _until(run.require_alive, all_past(before)) - run.started
            _until(run.require_alive, all_past(log.ends))
            rss = run.rss_mb()
    finally:
        admin.close()
        place.forget("recovery.")
    say(f"{sources:,} sources: at work after {fresh:.1f} s, with their state {again:.1f} s; {rss:.0f} MB")
    return {
        "sources": sources,
        "fresh_s": round(fresh, 2),
        "restored_s": round(again, 2),
        "rss_mb": round(rss),
    }


def replay(place: Ground, events: int, say: Say) -> dict[str, Any]:
    """A day of 10,000 sources, from so many of its events."""
    log = place.preload("replay.", City(step=DAY_STEP), events)
    try:
        one = _measured(place, log, 600.0)
    finally:
        place.forget("replay.")
    minutes = DAY_EVENTS / one.events_per_s / 60
    say(
        f"a day: {one.events:,} events at {one.events_per_s:,.0f} a second, the whole in {minutes:.0f} minutes"
    )
    return {**asdict(one), "day_events": DAY_EVENTS, "day_minutes": round(minutes, 1)}


def _until(alive: Callable[[], None], true: Callable[[], bool], seconds: float = 300.0) -> float:
    """When it became true. Raises `TimeoutError`, and what `alive` does."""
    deadline = time.monotonic() + seconds
    while not true():
        alive()
        if time.monotonic() > deadline:
            raise TimeoutError("a worker takes too long")
        time.sleep(0.05)
    return time.monotonic()

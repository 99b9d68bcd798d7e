"""From the append of a raw record to its signal, while events come at a steady rate.

Two delays of each signal: to the signal's own append, and to a reader of committed records having it, which is what
an operator would see of it. No rule of the comparison has a hold.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from alerts.signals import Occurrence, Passed, Signal, Sums, Switch
from ioc.settings import Settings
from ioc.shutdown import child_setup
from streams.admin import ensure_topics
from streams.clients import client_arguments
from streams.configuration import publish_configuration
from streams.topics import STREAMS, Topics
from tests.bench.stream.contenders import CONTENDERS
from tests.bench.stream.events import City
from tests.bench.stream.ground import Ground, Log
from tests.bench.stream.measure import running
from tests.system import environment

#: Seconds at the beginning that do not count: partitions are taken, their state is restored.
WARM_UP = 10.0
PREFIX = "delay."
#: Milliseconds for which the broker may gather what the reader gets.
READER_WAIT_MS = 20
#: Seconds in which the last that was written must come.
LAST_SECONDS = 5.0

_decode = msgspec.json.Decoder(Signal | Occurrence | Sums | Passed | Switch).decode


def measure_delay(place: Ground, rate: float, seconds: float, city: City) -> dict[str, Any]:
    """Milliseconds at `rate` events a second, of the signals of so many seconds after the warm-up.

    Raises `RuntimeError` where no signal comes.
    """
    settings = place.settings_of(PREFIX, raw_partitions=city.partitions)
    ensure_topics(settings)
    config = publish_configuration(settings).hash
    raw = {(Topics.of(settings).raw[stream].name, n): 0 for stream in STREAMS for n in range(city.partitions)}
    log = Log(settings, city, {}, raw)
    try:
        with running(CONTENDERS["product"], place, log, PREFIX) as run:
            wanted = {
                "rate": rate,
                "seconds": WARM_UP + seconds,
                "sources": city.sources,
                "config": config,
            }
            arguments = [f"--{name}={value}" for name, value in wanted.items()]
            pace = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.stream.pace", *arguments],
                env=environment(settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=child_setup(),
            )
            try:
                return _watch(settings, pace, rate)
            except RuntimeError as error:
                raise RuntimeError(f"{error}\n{run.tail()}") from None
            finally:
                pace.kill()
                pace.wait()
    finally:
        place.forget(PREFIX)


def _watch(settings: Settings, pace: subprocess.Popen[str], rate: float) -> dict[str, Any]:
    told, answer = pace.stdin, pace.stdout
    assert told is not None
    assert answer is not None
    if answer.readline() != "ready\n":
        raise RuntimeError("the writer did not begin")
    wrote = list[float]()
    waiting = threading.Thread(target=lambda: wrote.append(float(answer.readline() or "nan")))

    def go() -> None:
        told.write("go\n")
        told.flush()
        waiting.start()

    to_append, to_reader = asyncio.run(_read(settings, go, waiting.is_alive))
    waiting.join()
    if len(to_append) < 100:
        raise RuntimeError(f"only {len(to_append)} signals came")
    return {
        "events_per_s": round(rate),
        "written_per_s": wrote[0],
        "signals": len(to_append),
        **_percentiles("append", to_append),
        **_percentiles("reader", to_reader),
    }


async def _read(
    settings: Settings, go: Callable[[], None], is_writing: Callable[[], bool]
) -> tuple[list[float], list[float]]:
    """Let the writer `go`, and read signals until it has ended: both delays of each one after the warm-up."""
    topic = Topics.of(settings).signals
    to_append, to_reader = list[float](), list[float]()
    # The reader takes little of the machine too: kafka-python would take a third of a processor.
    reader = AIOKafkaConsumer(
        **client_arguments(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=READER_WAIT_MS,
        fetch_min_bytes=2**20,
    )
    await reader.start()
    try:
        reader.assign([TopicPartition(topic.name, number) for number in range(topic.partitions)])
        began = 1000 * time.time()
        go()
        quiet = time.monotonic()
        while is_writing() or time.monotonic() < quiet + LAST_SECONDS:
            if is_writing():
                quiet = time.monotonic()
            for records in (await reader.getmany(timeout_ms=100)).values():
                now = 1000 * time.time()
                for record in records:
                    signal = _decode(record.value)
                    if isinstance(signal, Signal) and signal.appended_ms > began + 1000 * WARM_UP:
                        to_append.append(record.timestamp - signal.appended_ms)
                        to_reader.append(now - signal.appended_ms)
    finally:
        await reader.stop()
    return to_append, to_reader


def _percentiles(name: str, delays: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(delays, n=100)
    return {
        f"{name}_p50_ms": round(cuts[49]),
        f"{name}_p99_ms": round(cuts[98]),
        f"{name}_max_ms": round(max(delays)),
    }

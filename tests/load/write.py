"""Writes live events of a city at a rate that may change: `python -m tests.load.write`, a process of its own.

Each line of standard input is the city's rate in events a second, and that of one source of it gone mad, which hold
at once; an empty one ends it. Then it prints how many events it has written. What it cannot write in time it writes
late: it never leaves any out.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from geo.cache import present_set
from ioc.settings import load_settings
from streams.schemas import CLOCK_KEY
from streams.topics import Topics
from tests.bench.stream.events import City, steps

#: Seconds between two sends, and how many different events each source has.
TICK, ROUNDS = 0.05, 10

#: Topic, partition, key, and the event before and after its time; its id begins with a number.
Form = tuple[str, int, bytes, bytes, bytes]


def forms(sources: int) -> list[Form]:
    """Events of all sources, round by round, to be given a number and a time."""
    settings = load_settings()
    topics = Topics.of(settings).raw
    city = City(sources, settings.raw_partitions)
    made: list[Form] = []
    rounds = steps(city, present_set(settings.provinces, settings.cache_dir), "")
    for records in itertools.islice(rounds, ROUNDS):
        for stream, partition, key, value in records:
            if key == CLOCK_KEY:
                continue
            before, _, rest = value.partition(b'"time":"')
            _, _, after = rest.partition(b'"')
            before = before.removeprefix(b'{"id":"') + b'"time":"'
            made.append((topics[stream].name, partition, key, before, b'"' + after))
    return made


class Due:
    """The events of one writer, over and over; of a fraction of one the rest is owed."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self._forms, self._owed = itertools.cycle(forms), 0.0

    def take(self, count: float) -> Iterator[Form]:
        """The next so many."""
        self._owed += count
        whole = int(self._owed)
        self._owed -= whole
        return itertools.islice(self._forms, whole)


async def write(rates: Rates, sources: int) -> int:
    """Write until the rates end; how many events it was."""
    settings = load_settings()
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, max_batch_size=900_000, acks="all")
    await producer.start()
    city = forms(sources)
    mad = [form for form in city if form[:3] == city[0][:3]]
    those = (Due(city), Due(mad))
    print("ready", flush=True)
    written, due = 0, time.monotonic()
    try:
        while (now := rates.now) is not None:
            due += TICK
            stamp = datetime.now(UTC).isoformat(timespec="milliseconds").encode()
            batches: dict[tuple[str, int], object] = {}
            events = [form for one, rate in zip(those, now, strict=True) for form in one.take(rate * TICK)]
            for number, (topic, partition, key, before, after) in enumerate(events, written):
                batch = batches.get((topic, partition))
                if batch is None:
                    batch = batches[topic, partition] = producer.create_batch()
                value = b'{"id":"%d-%s%s%s' % (number, before, stamp, after)
                appended = batch.append(key=key, value=value, timestamp=None)  # type: ignore[attr-defined]
                assert appended is not None, "a tick's batch is full"
            written += len(events)
            for (topic, partition), batch in batches.items():
                batch.close()  # type: ignore[attr-defined]
                await producer.send_batch(batch, topic, partition=partition)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await producer.flush()
    finally:
        await producer.stop()
    return written


class Rates(threading.Thread):
    """The rates of the last line that was read; None once there are no more."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.now: tuple[float, float] | None = (0.0, 0.0)

    def run(self) -> None:
        for line in sys.stdin:
            if not line.strip():
                break
            city, mad = line.split()
            self.now = float(city), float(mad)
        self.now = None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=10_000)
    given = parser.parse_args()
    reading = Rates()
    reading.start()
    print(asyncio.run(write(reading, given.sources)), flush=True)

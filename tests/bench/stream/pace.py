"""Writes events of a city at a steady rate, in a process of its own: `python -m tests.bench.stream.pace`.

Batches are made before the first is sent, so that the writer takes little of the machine. It says `ready`, waits for
a line, writes, and says how many events a second it wrote.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter, defaultdict
from datetime import timedelta

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from geo.cache import present_set
from ioc.settings import load_settings
from streams.schemas import CLOCK_KEY
from streams.topics import Topics
from tests.bench.stream.events import City, steps

#: Seconds between two sends.
TICK = 0.02


async def main(rate: float, seconds: float, sources: int, config: str) -> None:
    settings = load_settings()
    topics = Topics.of(settings).raw
    # A step of event time lasts as long as it takes to write: time in the log is as quick as the clock.
    length = sources / rate
    city = City(sources, settings.raw_partitions, timedelta(seconds=length))
    boundaries = present_set(settings.provinces, settings.cache_dir)
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, max_batch_size=500_000)
    await producer.start()
    try:
        # By tick and partition.
        batches: dict[int, dict[tuple[str, int], BatchBuilder]] = defaultdict(dict)
        events = 0
        for number, records in enumerate(steps(city, boundaries, config)):
            if number * length >= seconds:
                break
            count = Counter(stream for stream, *_ in records)
            seen: Counter[str] = Counter()
            for stream, partition, key, value in records:
                at = number * length + length * seen[stream] / count[stream]
                seen[stream] += 1
                of_tick = batches[int(at / TICK)]
                tp = topics[stream].name, partition
                batch = of_tick.get(tp)
                if batch is None:
                    batch = of_tick[tp] = producer.create_batch()
                assert batch.append(key=key, value=value, timestamp=None) is not None, (
                    "a tick's batch is full"
                )
                events += key != CLOCK_KEY
        for of_tick in batches.values():
            for batch in of_tick.values():
                batch.close()
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        for tick in sorted(batches):
            await asyncio.sleep(began + tick * TICK - time.monotonic())
            for tp, batch in batches.pop(tick).items():
                await producer.send_batch(batch, tp[0], partition=tp[1])
        await producer.flush()
        print(round(events / (time.monotonic() - began)), flush=True)
    finally:
        await producer.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, required=True, help="events a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--sources", type=int, required=True)
    parser.add_argument("--config", required=True, help="hash that clock records name")
    options = parser.parse_args()
    asyncio.run(main(options.rate, options.seconds, options.sources, options.config))
